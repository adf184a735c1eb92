/** What a person likes, kept in this browser. */

import { USUAL } from '../lib/table';

type Theme = 'system' | 'dark' | 'light';
const KEY = 'soundloom';

function stored(): Record<string, unknown> {
  try {
    return JSON.parse(localStorage.getItem(KEY) ?? '{}') as Record<string, unknown>;
  } catch {
    return {};
  }
}

class Settings {
  theme = $state<Theme>('system');
  hover = $state(true);
  /** A sound that keys walk to is played. */
  triage = $state(false);
  volume = $state(0.8);
  /** Two sounds that are compared are played equally loud. */
  match = $state(true);
  /** Results are a table, and no cards. */
  table = $state(false);
  columns = $state.raw<readonly string[]>(USUAL);
  private system = $state<'dark' | 'light'>('dark');

  constructor() {
    const { theme, hover, triage, volume, match, table, columns } = stored();
    if (typeof table === 'boolean') this.table = table;
    if (Array.isArray(columns) && columns.includes('name')) this.columns = columns.filter((name) => typeof name === 'string');
    if (theme === 'dark' || theme === 'light') this.theme = theme;
    if (typeof hover === 'boolean') this.hover = hover;
    if (typeof triage === 'boolean') this.triage = triage;
    if (typeof volume === 'number' && volume >= 0 && volume <= 1) this.volume = volume;
    if (typeof match === 'boolean') this.match = match;
    const light = matchMedia('(prefers-color-scheme: light)');
    const follow = () => (this.system = light.matches ? 'light' : 'dark');
    light.addEventListener('change', follow);
    follow();
  }

  /** The theme that is shown. */
  get shown(): 'dark' | 'light' {
    return this.theme === 'system' ? this.system : this.theme;
  }

  toggleTheme(): void {
    this.theme = this.shown === 'dark' ? 'light' : 'dark';
  }

  /** Call inside an effect: writes what changed. */
  keep(): void {
    const { theme, hover, triage, volume, match, table, columns } = this;
    document.documentElement.dataset['theme'] = this.shown;
    try {
      localStorage.setItem(KEY, JSON.stringify({ theme, hover, triage, volume, match, table, columns }));
    } catch {
      // Private windows may refuse storage: the settings then last as long as the page.
    }
  }
}

export const settings = new Settings();
export const stillness = matchMedia('(prefers-reduced-motion: reduce)');
