/** Something that a person does and the server may refuse: under way, done, or refused in words. */
import { refusalText } from './refusal.ts';

export class Deed {
  #busy = $state(false);
  #problem = $state.raw<unknown>(null);

  get busy(): boolean {
    return this.#busy;
  }

  /** Why the last attempt failed, in the language of the page; empty if it did not. */
  get problem(): string {
    return this.#problem === null ? '' : refusalText(this.#problem);
  }

  /** Does it, once at a time; returns whether it was done. */
  async run(act: () => Promise<unknown>): Promise<boolean> {
    if (this.#busy) return false;
    this.#busy = true;
    this.#problem = null;
    try {
      await act();
      return true;
    } catch (error) {
      this.#problem = error;
      return false;
    } finally {
      this.#busy = false;
    }
  }
}
