/** What the library is, and the parts whose weights can be moved. */
import { ApiError, BASE, api } from '../api/client';
import type { Library } from '../api/types';
import { plural } from '../lib/format';

class LibraryState {
  about = $state.raw<Library | null>(null);
  error = $state.raw<ApiError | null>(null);

  /** The path below which this library is, among those of the server. */
  readonly address = BASE + '/';

  get parts() {
    return this.about?.parts ?? [];
  }

  /** What is known of its files, by name. */
  get fields() {
    return this.about?.fields ?? [];
  }

  /** So many of what the library finds: whole sounds, or where files are cut into several, segments. */
  counted(n: number): string {
    return plural(n, this.about && this.about.segments !== this.about.files ? 'segment' : 'sound');
  }

  async load(): Promise<void> {
    try {
      this.about = await api.library();
      this.error = null;
    } catch (cause) {
      this.error = cause instanceof ApiError ? cause : new ApiError(0, 'page', String(cause));
    }
  }

  /** An answer came from this version of the library: where it is another one, its numbers have changed. */
  noticeVersion(version: string): void {
    if (this.about && this.about.version !== version) void this.load();
  }

  /** Colour of a part, the same on its slider, on every bar and in the map. */
  colour(part: string): string {
    const index = this.parts.findIndex(({ name }) => name === part);
    return `var(--part-${(index < 0 ? 0 : index) % 8})`;
  }
}

export const library = new LibraryState();
