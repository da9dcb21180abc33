/** Something that a screen reads from the server: unread, there, or refused with the way to try again. */
export class Reading<T> {
  #value = $state.raw<T | null>(null);
  #failed = $state.raw<unknown>(null);
  readonly #read: () => Promise<T>;

  constructor(read: () => Promise<T>) {
    this.#read = read;
  }

  /** What was read last, or null. */
  get value(): T | null {
    return this.#value;
  }

  /** Why the last reading failed, or null. */
  get failed(): unknown {
    return this.#failed;
  }

  /** Reads; what was there stays until the answer has come. */
  async load(): Promise<void> {
    try {
      this.#value = await this.#read();
      this.#failed = null;
    } catch (error) {
      this.#failed = error;
    }
  }
}
