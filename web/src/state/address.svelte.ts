/** The address bar as state: what the page shows follows from it alone. */
import { matchScreen, type Screen } from '../routes.ts';

class Address {
  #path = $state(location.pathname);
  #search = $state(location.search);
  #screen = $derived(matchScreen(this.#path));
  #query = $derived(new URLSearchParams(this.#search));

  constructor() {
    addEventListener('popstate', () => this.#read());
  }

  #read(): void {
    this.#path = location.pathname;
    this.#search = location.search;
  }

  get screen(): Screen {
    return this.#screen;
  }

  /** The query of the address; read it, and write by `go`. */
  get query(): URLSearchParams {
    return this.#query;
  }

  /** The address as it stands, to come back to. */
  get here(): string {
    return this.#path + this.#search;
  }

  /** Goes to an address of the page; the browser's back button returns. */
  go(address: string): void {
    const elsewhere = new URL(address, location.href).pathname !== this.#path;
    history.pushState(null, '', address);
    this.#read();
    if (elsewhere) scrollTo(0, 0);
  }

  /** Changes the address in place, for state too small to step back through. */
  replace(address: string): void {
    history.replaceState(null, '', address);
    this.#read();
  }

  /** Follows a plain click on a link of the page without loading it anew. */
  followClick(event: MouseEvent): void {
    const modified = event.metaKey || event.ctrlKey || event.shiftKey || event.altKey;
    if (event.defaultPrevented || event.button !== 0 || modified) return;
    const link = (event.target as Element | null)?.closest('a');
    const known = link !== null && link !== undefined && link.origin === location.origin;
    if (!known || link.target !== '' || link.hasAttribute('download')) return;
    event.preventDefault();
    this.go(link.pathname + link.search);
  }
}

export const address = new Address();
