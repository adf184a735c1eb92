/** Measures from a cause to the frame that shows its effect; read by benchmarks/page.py with a PerformanceObserver. */
import { tick } from 'svelte';

export async function painted(name: 'search' | 'steer' | 'map' | 'viewer', since: number): Promise<void> {
  await tick();
  // A message posted inside an animation frame is handled right after that frame was painted.
  await new Promise<void>((resolve) =>
    requestAnimationFrame(() => {
      const { port1, port2 } = new MessageChannel();
      port1.onmessage = () => {
        port1.close();
        resolve();
      };
      port2.postMessage(null);
    }),
  );
  performance.measure(name, { start: since, end: performance.now() });
  performance.clearMeasures(name);
}
