/** Rules for the inside of wavesurfer's shadow root; see build/waveform-style.ts. Adopted sheets obey the CSP. */
const sheet = new CSSStyleSheet();
sheet.replaceSync(`
  :host { user-select: none; display: block; }
  .scroll { position: relative; width: 100%; overflow: hidden; }
  .wrapper { position: relative; z-index: 2; touch-action: pan-y; }
  .canvases { pointer-events: none; }
  .canvases > div, .progress > div { position: relative; }
  canvas { display: block; position: absolute; top: 0; }
  .progress { position: absolute; z-index: 2; inset: 0 auto auto 0; width: 0; height: 100%; overflow: hidden; pointer-events: none; }
  .cursor { position: absolute; z-index: 5; inset: 0 auto auto 0; height: 100%; pointer-events: none; }
  audio { display: none; }
`);

export function dress(inside: HTMLElement): void {
  const root = inside.getRootNode();
  if (root instanceof ShadowRoot) root.adoptedStyleSheets = [sheet];
}
