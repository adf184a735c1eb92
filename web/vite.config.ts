import { svelte } from '@sveltejs/vite-plugin-svelte';
import { defineConfig } from 'vite';
import { stamp } from './build/stamp.ts';
import { withoutInjectedStyle } from './build/waveform-style.ts';

const page = new URL('../src/soundloom/server/page/', import.meta.url).pathname;
const api = process.env['SOUNDLOOM_API'] ?? 'http://127.0.0.1:8765';

export default defineConfig({
  plugins: [withoutInjectedStyle(), svelte(), stamp()],
  build: {
    outDir: page,
    emptyOutDir: true,
    target: 'es2022',
    // Every asset is a file: a data: address would need an exception in the content security policy.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
  },
  server: {
    proxy: {
      '/api': {
        target: api,
        changeOrigin: true,
        // The server refuses writes from other origins, and the development server is one.
        configure: (proxy) =>
          proxy.on('proxyReq', (request) => {
            for (const name of ['origin', 'sec-fetch-site']) request.removeHeader(name);
          }),
      },
    },
  },
});
