/** The answer of GET /map: "SLM1", n, then n values each of x, y (float32), folder and cluster (uint16). */

export interface Points {
  n: number;
  x: Float32Array<ArrayBuffer>;
  y: Float32Array<ArrayBuffer>;
  folder: Uint16Array<ArrayBuffer>;
  cluster: Uint16Array<ArrayBuffer>;
}

const HEAD = 8;

export function readPoints(bytes: ArrayBuffer): Points {
  const magic = bytes.byteLength >= HEAD ? new TextDecoder().decode(new Uint8Array(bytes, 0, 4)) : '';
  const n = magic === 'SLM1' ? new DataView(bytes).getUint32(4, true) : -1;
  if (bytes.byteLength !== HEAD + 12 * n) throw new Error('The map arrived damaged: reload the page, or compute it again.');
  return {
    n,
    x: new Float32Array(bytes, HEAD, n),
    y: new Float32Array(bytes, HEAD + 4 * n, n),
    folder: new Uint16Array(bytes, HEAD + 8 * n, n),
    cluster: new Uint16Array(bytes, HEAD + 10 * n, n),
  };
}
