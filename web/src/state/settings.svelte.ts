/** What a person likes, kept in this browser. */

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
  volume = $state(0.8);
  private system = $state<'dark' | 'light'>('dark');

  constructor() {
    const { theme, hover, volume } = stored();
    if (theme === 'dark' || theme === 'light') this.theme = theme;
    if (typeof hover === 'boolean') this.hover = hover;
    if (typeof volume === 'number' && volume >= 0 && volume <= 1) this.volume = volume;
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
    const { theme, hover, volume } = this;
    document.documentElement.dataset['theme'] = this.shown;
    try {
      localStorage.setItem(KEY, JSON.stringify({ theme, hover, volume }));
    } catch {
      // Private windows may refuse storage: the settings then last as long as the page.
    }
  }
}

export const settings = new Settings();
export const stillness = matchMedia('(prefers-reduced-motion: reduce)');
