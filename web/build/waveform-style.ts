/**
 * Takes the inline `<style>` out of wavesurfer's shadow root while bundling.
 *
 * wavesurfer writes its rules as a `<style>` element, which the content security policy of the page
 * (`default-src 'self'`, no `unsafe-inline`) refuses. The page adopts a stylesheet of its own instead
 * (src/parts/waveform-sheet.ts). The build fails when a new wavesurfer no longer has the element.
 */
import type { Plugin } from 'vite';

const INJECTED = /<style\$\{[\s\S]*?<\/style>/;

export function withoutInjectedStyle(): Plugin {
  return {
    name: 'soundloom-waveform-style',
    enforce: 'pre',
    transform(code, id) {
      if (!id.includes('wavesurfer.js/dist/wavesurfer.esm.js')) return null;
      if (!INJECTED.test(code)) {
        throw new Error(`${id} holds no <style> template any more: see whether build/waveform-style.ts is still needed`);
      }
      return { code: code.replace(INJECTED, ''), map: null };
    },
  };
}
