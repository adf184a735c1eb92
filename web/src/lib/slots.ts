/**
 * Which card shows which sound: a sound that stays keeps its card, one that comes gets the card of one that left.
 *
 * Fifty cards of another question then cost some texts and pictures, and not fifty new cards.
 */
export class Slots {
  private held = new Map<string, number>();
  private made = 0;

  /** The number of the card of every sound, in their order. */
  deal(ids: readonly string[]): number[] {
    const coming = new Set(ids);
    const free = [...this.held].filter(([id]) => !coming.has(id)).map(([, slot]) => slot);
    this.held = new Map(ids.map((id) => [id, this.held.get(id) ?? free.shift() ?? this.made++]));
    return [...this.held.values()];
  }
}
