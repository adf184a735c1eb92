import js from '@eslint/js';
import svelte from 'eslint-plugin-svelte';
import { globalIgnores } from 'eslint/config';
import tseslint from 'typescript-eslint';

export default tseslint.config(
  globalIgnores(['node_modules/', '.svelte-kit/']),
  js.configs.recommended,
  tseslint.configs.recommended,
  svelte.configs.recommended,
  {
    files: ['**/*.svelte', '**/*.svelte.ts'],
    languageOptions: { parserOptions: { parser: tseslint.parser } },
  },
  {
    rules: {
      // svelte-check judges comments that ignore its own warnings.
      'svelte/no-unused-svelte-ignore': 'off',
      // Maps in state are replaced whole, never changed in place.
      'svelte/prefer-svelte-reactivity': 'off',
      // The type checker knows the names of browser and Node.
      'no-undef': 'off',
      // An index within bounds that are checked beside it.
      '@typescript-eslint/no-non-null-assertion': 'off',
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_', varsIgnorePattern: '^_' }],
    },
  },
);
