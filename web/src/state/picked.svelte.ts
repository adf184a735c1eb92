/** Sounds that were picked from the results, to do one thing with all of them. */

class Picked {
  ids = $state.raw<ReadonlySet<string>>(new Set());

  has(id: string): boolean {
    return this.ids.has(id);
  }

  toggle(id: string): void {
    const next = new Set(this.ids);
    if (!next.delete(id)) next.add(id);
    this.ids = next;
  }

  all(ids: Iterable<string>): void {
    this.ids = new Set([...this.ids, ...ids]);
  }

  clear(): void {
    this.ids = new Set();
  }
}

export const picked = new Picked();
