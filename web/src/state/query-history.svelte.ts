/** The queries run in this browser, kept in it. */
import { historyFrom, remembered, withStar, type PastQuery } from '../domain/query-history.ts';
import { readStoredText, writeStored } from './stored.ts';

const STORED_AS = 'muster.queries';

class QueryHistory {
  #past = $state.raw<PastQuery[]>(historyFrom(readStoredText(STORED_AS)));

  get past(): readonly PastQuery[] {
    return this.#past;
  }

  /** Puts queries that are run at the front. */
  remember(expressions: readonly string[]): void {
    // Another tab may have run queries meanwhile.
    const kept = historyFrom(readStoredText(STORED_AS));
    this.#keep(remembered(kept.length === 0 ? this.#past : kept, expressions, Date.now()));
  }

  star(expression: string, starred: boolean): void {
    this.#keep(withStar(this.#past, expression, starred));
  }

  /** Forgets all but the starred ones. */
  clear(): void {
    this.#keep(this.#past.filter(({ starred }) => starred));
  }

  #keep(past: PastQuery[]): void {
    this.#past = past;
    writeStored(STORED_AS, JSON.stringify(past));
  }
}

export const history = new QueryHistory();
