/** What the library is, and the parts whose weights can be moved. */
import { api } from '../api/client';
import type { Library } from '../api/types';

class LibraryState {
  about = $state.raw<Library | null>(null);
  error = $state('');

  get parts() {
    return this.about?.parts ?? [];
  }

  async load(): Promise<void> {
    try {
      this.about = await api.library();
      this.error = '';
    } catch (cause) {
      this.error = (cause as Error).message;
    }
  }

  /** Colour of a part, the same on its slider, on every bar and in the map. */
  colour(part: string): string {
    const index = this.parts.findIndex(({ name }) => name === part);
    return `var(--part-${(index < 0 ? 0 : index) % 8})`;
  }
}

export const library = new LibraryState();
