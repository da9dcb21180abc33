import { vitePreprocess } from '@sveltejs/vite-plugin-svelte';

/** Svelte in runes mode throughout, with TypeScript in components. */
export default {
  preprocess: vitePreprocess(),
  compilerOptions: { runes: true },
};
