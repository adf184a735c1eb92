/** Pictures that are asked for when they come near the sight; browsers themselves ask for thirteen rows of cards ahead. */

const MARGIN = '400px';
const watched = new WeakMap<Element, (near: boolean) => void>();
let observer: IntersectionObserver | undefined;

function watch(): IntersectionObserver {
  const tell = (entries: IntersectionObserverEntry[]) => {
    for (const { target, isIntersecting } of entries) watched.get(target)?.(isIntersecting);
  };
  return (observer ??= new IntersectionObserver(tell, { root: document.getElementById('main'), rootMargin: `${MARGIN} 0px` }));
}

/** An action of an image: its source, once the item of the list that holds it is near. */
export function nearby(image: HTMLImageElement, source: string): { update: (next: string) => void; destroy: () => void } {
  // The item and not the image: what a card out of sight holds has no layout.
  const item = image.closest('li') ?? image;
  let near = false;
  const show = () => {
    if (near) image.src = source;
    else image.removeAttribute('src');
  };
  watched.set(item, (is) => {
    // A picture that is there stays when it leaves.
    if (is && !near) {
      near = true;
      show();
    }
    near = is;
  });
  watch().observe(item);
  return {
    update(next) {
      if (next === source) return;
      // The picture of the sound before would stand under the name of this one until its own is here.
      image.removeAttribute('src');
      source = next;
      show();
    },
    destroy: () => watch().unobserve(item),
  };
}
