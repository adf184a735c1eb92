import { describe, expect, it } from 'vitest';
import { Camera, WHOLE, bulk } from '../src/map/camera';

describe('Camera', () => {
  it('turns screen into map and back', () => {
    const camera = new Camera(800, 500);
    camera.magnify(3.7, 100, 420);
    camera.pan(31, -17);
    for (const [px, py] of [[0, 0], [800, 500], [123, 321]] as const) {
      const [back, down] = camera.toScreen(...camera.toMap(px, py));
      expect(back).toBeCloseTo(px, 9);
      expect(down).toBeCloseTo(py, 9);
    }
  });

  it('zooms about the pointer', () => {
    const camera = new Camera(800, 500);
    const before = camera.toMap(700, 40);
    camera.magnify(2.5, 700, 40);
    const after = camera.toMap(700, 40);
    expect(after[0]).toBeCloseTo(before[0], 12);
    expect(after[1]).toBeCloseTo(before[1], 12);
    expect(camera.zoom).toBe(2.5);
  });

  it('keeps pixels square and the whole map in view', () => {
    const camera = new Camera(900, 300);
    const [left, top] = camera.toScreen(-1, 1);
    const [right, bottom] = camera.toScreen(1, -1);
    expect(right - left).toBeCloseTo(bottom - top, 9);
    expect(Math.min(left, top)).toBeGreaterThan(0);
    expect(bottom).toBeLessThan(300);
  });

  it('stops at its limits and goes back to the start', () => {
    const camera = new Camera(500, 500);
    camera.magnify(1e6);
    expect(camera.zoom).toBe(400);
    camera.pan(1e9, -1e9);
    expect([camera.x, camera.y]).toEqual([-1.2, -1.2]);
    camera.reset();
    expect([camera.x, camera.y, camera.zoom]).toEqual([0, 0, 1]);
  });
});

describe('the bulk of the points', () => {
  it('fills the view though a few points lie far off', () => {
    const x = Float32Array.from({ length: 2000 }, (_, k) => 0.3 + 0.05 * Math.sin(k));
    const y = Float32Array.from({ length: 2000 }, (_, k) => -0.2 + 0.05 * Math.cos(k));
    x.set([-1, 1], 0);
    y.set([1, -1], 0);
    const camera = new Camera(600, 600);
    camera.reset(bulk({ x, y }));
    const [left, top] = camera.toScreen(0.25, -0.15);
    const [right, bottom] = camera.toScreen(0.35, -0.25);
    expect(Math.min(right - left, bottom - top)).toBeGreaterThan(450);
    expect([left, top, 600 - right, 600 - bottom].every((margin) => margin >= 0)).toBe(true);
  });

  it('is all of a map that is filled evenly, and of few points', () => {
    const even = Float32Array.from({ length: 500 }, (_, k) => -1 + (2 * k) / 499);
    expect(bulk({ x: even, y: even })).toEqual(WHOLE);
    expect(bulk({ x: new Float32Array(0), y: new Float32Array(0) })).toEqual(WHOLE);
  });
});
