/**
 * Points on WebGL 2, a million of them on any machine.
 *
 * Refinement instead of level-of-detail trees: the points are drawn in an order in which every prefix is spread evenly
 * over the file (multiples of the golden ratio modulo n), so any prefix is a fair picture of the whole. A moved camera
 * clears the picture and draws a first portion; each following frame adds the next one until all are there. The portion
 * grows while a frame with it is short and shrinks when not, by the clock: where software draws, the browser waits for
 * the picture before it gives the next frame, and no fence is ever seen waiting. So panning stays smooth there too, and
 * a fast card draws everything at once.
 */
import * as twgl from 'twgl.js';
import type { Camera } from './camera';
import type { Points } from './points';

const VERTEX = `#version 300 es
in float x; in float y; in float value;
uniform vec2 centre; uniform vec2 scale; uniform float size; uniform float alpha; uniform sampler2D palette;
out vec4 colour; out float width;
void main() {
  gl_Position = vec4((vec2(x, y) - centre) * scale, 0.0, 1.0);
  gl_PointSize = size; width = size;
  colour = vec4(texelFetch(palette, ivec2(int(value * 255.0 + 0.5), 0), 0).rgb, alpha);
}`;

// Discs with a soft rim; below three pixels a square cannot be told from one.
const FRAGMENT = `#version 300 es
precision mediump float;
in vec4 colour; in float width; out vec4 painted;
void main() {
  float cover = width < 3.0 ? 1.0 : clamp((0.5 - length(gl_PointCoord - 0.5)) * width, 0.0, 1.0);
  painted = vec4(colour.rgb, 1.0) * (colour.a * cover);
}`;

const FIRST_PORTION = 60_000;
const LEAST_PORTION = 20_000;
/** What a frame may take, in milliseconds; a portion grows by at most GROWTH from one frame to the next. */
const FRAME = 30;
const GROWTH = 1.4;
/** A fence that was not seen for so long, in milliseconds, will not be: the context may be lost. */
const PATIENCE = 2000;

/** 0, s, 2s, … modulo n with s near n / golden ratio and coprime to n: every index once. */
export function spread(n: number): Uint32Array<ArrayBuffer> {
  const common = (a: number, b: number): number => (b === 0 ? a : common(b, a % b));
  let step = Math.max(1, Math.round(n * 0.6180339887));
  while (common(step, n) > 1) step++;
  const order = new Uint32Array(n);
  for (let k = 0, at = 0; k < n; k++, at = (at + step) % n) order[k] = at;
  return order;
}

export class Scatter {
  onframe: (complete: boolean) => void = () => undefined;
  private gl: WebGL2RenderingContext;
  private program: twgl.ProgramInfo;
  private buffers: twgl.BufferInfo;
  private bright: WebGLBuffer;
  private brightCount = 0;
  private palette: WebGLTexture;
  private drawn = 0;
  private portion = FIRST_PORTION;
  private fence: WebGLSync | null = null;
  private began = 0;
  private frame = 0;
  private moved = true;

  /** @throws Error when the browser offers no WebGL 2. */
  constructor(
    private readonly canvas: HTMLCanvasElement,
    private readonly points: Points,
    private readonly camera: Camera,
  ) {
    // The picture must survive between frames: refinement adds to what is already there.
    const gl = canvas.getContext('webgl2', { alpha: true, antialias: false, depth: false, preserveDrawingBuffer: true });
    if (!gl) throw new Error('This browser offers no WebGL 2: allow hardware or software rendering in its settings.');
    this.gl = gl;
    this.program = twgl.createProgramInfo(gl, [VERTEX, FRAGMENT]);
    this.buffers = twgl.createBufferInfoFromArrays(gl, {
      x: { numComponents: 1, data: points.x },
      y: { numComponents: 1, data: points.y },
      value: { numComponents: 1, data: new Uint8Array(points.n), normalize: true },
      indices: { data: spread(points.n) },
    });
    this.bright = gl.createBuffer();
    const blank = new Uint8Array(4 * 256).fill(200);
    this.palette = twgl.createTexture(gl, { src: blank, width: 256, height: 1, minMag: gl.NEAREST, wrap: gl.CLAMP_TO_EDGE });
    gl.enable(gl.BLEND);
    gl.blendFunc(gl.ONE, gl.ONE_MINUS_SRC_ALPHA);
  }

  /** Colour of every point as a place in the palette. */
  values(values: Uint8Array): void {
    const attribute = this.buffers.attribs!['value']!;
    twgl.setAttribInfoBufferFromArray(this.gl, attribute, values);
    this.draw();
  }

  paint(texels: Uint8Array): void {
    const { gl } = this;
    gl.bindTexture(gl.TEXTURE_2D, this.palette);
    gl.texSubImage2D(gl.TEXTURE_2D, 0, 0, 0, 256, 1, gl.RGBA, gl.UNSIGNED_BYTE, texels);
    this.draw();
  }

  /** Points that stand out, drawn last and larger while the others step back; none: all alike. */
  light(indices: Uint32Array<ArrayBuffer>): void {
    const { gl } = this;
    gl.bindVertexArray(null);
    gl.bindBuffer(gl.ELEMENT_ARRAY_BUFFER, this.bright);
    gl.bufferData(gl.ELEMENT_ARRAY_BUFFER, indices, gl.DYNAMIC_DRAW);
    this.brightCount = indices.length;
    this.draw();
  }

  /** Ask for a new picture; many calls within a frame are one. */
  draw(): void {
    this.moved = true;
    if (!this.frame) this.frame = requestAnimationFrame(() => this.step());
  }

  destroy(): void {
    cancelAnimationFrame(this.frame);
    this.gl.getExtension('WEBGL_lose_context')?.loseContext();
  }

  private step(): void {
    this.frame = 0;
    if (this.busy()) {
      this.frame = requestAnimationFrame(() => this.step());
      return;
    }
    const { gl, camera, canvas } = this;
    if (this.moved) {
      const ratio = devicePixelRatio || 1;
      const [width, height] = [Math.round(camera.width * ratio), Math.round(camera.height * ratio)];
      if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
      gl.viewport(0, 0, width, height);
      gl.clearColor(0, 0, 0, 0);
      gl.clear(gl.COLOR_BUFFER_BIT);
      this.drawn = 0;
      this.moved = false;
    }
    this.drawPortion();
    const complete = this.drawn >= this.points.n;
    if (!complete) this.frame = requestAnimationFrame(() => this.step());
    this.onframe(complete);
  }

  /** Whether the last portion is still being drawn; sets the size of the next. */
  private busy(): boolean {
    const { gl } = this;
    if (!this.fence) return false;
    const taken = performance.now() - this.began;
    if (gl.getSyncParameter(this.fence, gl.SYNC_STATUS) !== gl.SIGNALED && taken < PATIENCE) return true;
    gl.deleteSync(this.fence);
    this.fence = null;
    this.portion = Math.max(LEAST_PORTION, Math.round(this.portion * Math.min(GROWTH, FRAME / taken)));
    return false;
  }

  private drawPortion(): void {
    const { gl, points, camera } = this;
    this.began = performance.now();
    const many = Math.min(this.portion, points.n - this.drawn);
    const ratio = devicePixelRatio || 1;
    const size = ratio * Math.max(1.3, Math.min(11, (900 / Math.sqrt(points.n)) * Math.sqrt(camera.zoom)));
    const lit = this.brightCount > 0;
    gl.useProgram(this.program.program);
    twgl.setBuffersAndAttributes(gl, this.program, this.buffers);
    const shared = { centre: [camera.x, camera.y], scale: camera.scale, palette: this.palette };
    twgl.setUniforms(this.program, { ...shared, size, alpha: lit ? 0.16 : points.n > 200_000 ? 0.7 : 0.88 });
    if (many > 0) gl.drawElements(gl.POINTS, many, gl.UNSIGNED_INT, 4 * this.drawn);
    this.drawn += many;
    if (lit) {
      gl.bindBuffer(gl.ELEMENT_ARRAY_BUFFER, this.bright);
      twgl.setUniforms(this.program, { size: 1.5 * size + 1.5 * ratio, alpha: 0.95 });
      const complete = this.drawn >= points.n;
      gl.drawElements(gl.POINTS, complete ? this.brightCount : Math.min(this.brightCount, this.portion), gl.UNSIGNED_INT, 0);
    }
    this.fence = gl.fenceSync(gl.SYNC_GPU_COMMANDS_COMPLETE, 0);
    gl.flush();
  }
}
