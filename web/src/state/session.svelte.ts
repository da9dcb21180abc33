/** Who is signed in. A lost session leads to the sign-in screen and afterwards back. */
import { onSignedOut } from '../api/client.ts';
import { closeSession, openSession, readSession, type Credentials } from '../api/session.ts';
import type { Session } from '../api/types.ts';
import { returnAddress, signInAddress } from '../routes.ts';
import { address } from './address.svelte.ts';

type Known =
  { status: 'unknown' } | { status: 'failed' } | { status: 'known'; who: Session | null };

class SessionState {
  #known = $state.raw<Known>({ status: 'unknown' });

  constructor() {
    onSignedOut(() => this.#leave());
  }

  get status(): Known['status'] {
    return this.#known.status;
  }

  get who(): Session | null {
    return this.#known.status === 'known' ? this.#known.who : null;
  }

  /** Asks the server who is signed in. */
  async load(): Promise<void> {
    this.#known = { status: 'unknown' };
    try {
      const who = await readSession();
      if (who === null) this.#leave();
      this.#known = { status: 'known', who };
    } catch {
      this.#known = { status: 'failed' };
    }
  }

  /** Signs in and goes where the person wanted to be; throws `ApiError` where it is refused. */
  async signIn(credentials: Credentials): Promise<void> {
    const who = await openSession(credentials);
    this.#known = { status: 'known', who };
    address.replace(returnAddress(address.query.get('from')));
  }

  /** Signs out; where even that fails, the page forgets the person all the same. */
  async signOut(): Promise<void> {
    await closeSession().catch(() => undefined);
    this.#known = { status: 'known', who: null };
    address.go(signInAddress(null));
  }

  #leave(): void {
    this.#known = { status: 'known', who: null };
    if (address.screen.name === 'sign-in') return;
    // A sign-in at the identity provider that failed ends at the first screen, with a word for why.
    const failed = address.query.get('sign_in_failed');
    address.replace(failed === null ? signInAddress(address.here) : signInAddress(null, failed));
  }
}

export const session = new SessionState();
