/** Cards that glide from where they were to where they are; only those that can be seen at one end of the way. */
export class Glide {
  private from = new Map<string, DOMRect>();

  /** Call before cards change places. */
  note(cards: Iterable<[string, HTMLElement]>): void {
    this.from = new Map([...cards].map(([id, card]) => [id, card.getBoundingClientRect()]));
  }

  /** Call after. Cards that were not there before stand still. */
  play(cards: Iterable<[string, HTMLElement]>, duration: number): void {
    const moving = [...cards];
    // A card still under way starts anew from where it is: its place is measured without that movement.
    for (const [, card] of moving) for (const animation of card.getAnimations()) animation.cancel();
    const to = moving.map(([, card]) => card.getBoundingClientRect());
    moving.forEach(([id, card], index) => {
      const before = this.from.get(id);
      const after = to[index];
      if (!before || !after || !(seen(before) || seen(after))) return;
      const [x, y] = [before.left - after.left, before.top - after.top];
      if (x || y) card.animate([{ transform: `translate(${x}px, ${y}px)` }, {}], { duration, easing: 'cubic-bezier(0.2, 0.7, 0.3, 1)' });
    });
  }
}

const seen = ({ top, bottom }: DOMRect): boolean => bottom > 0 && top < innerHeight;
