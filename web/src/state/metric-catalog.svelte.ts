/** All metrics that the server knows, with what they say of themselves; read when first asked for. */
import { readLabelValues, readMetadata } from '../api/prometheus.ts';
import type { MetricMetadata } from '../api/types.ts';

export interface Metric extends MetricMetadata {
  name: string;
}

/** New metrics appear seldom; after this long they are looked for. */
const FRESH_MS = 60_000;

class MetricCatalog {
  #metrics = $state.raw<Metric[]>([]);
  #status = $state<'unread' | 'reading' | 'ready' | 'failed'>('unread');
  #read_ms = Number.NEGATIVE_INFINITY;

  get metrics(): readonly Metric[] {
    return this.#metrics;
  }

  get status(): 'unread' | 'reading' | 'ready' | 'failed' {
    return this.#status;
  }

  /** What is known of a metric, or null. */
  find(name: string): Metric | null {
    return this.#metrics.find((metric) => metric.name === name) ?? null;
  }

  /** Whether a metric only ever grows, by its own word or by its name. */
  isCounter(name: string): boolean {
    const type = this.find(name)?.type ?? 'unknown';
    return type === 'counter' || (type === 'unknown' && /_(?:total|sum|count|bucket)$/.test(name));
  }

  /** Reads the catalog, if what is known is not fresh. */
  async load(): Promise<void> {
    if (this.#status === 'reading' || Date.now() - this.#read_ms < FRESH_MS) return;
    this.#status = 'reading';
    try {
      const [names, about] = await Promise.all([readLabelValues('__name__', ''), readMetadata()]);
      const unknown: MetricMetadata = { type: 'unknown', help: '', unit: '' };
      this.#metrics = names.map((name) => ({ ...(about[name]?.[0] ?? unknown), name }));
      this.#read_ms = Date.now();
      this.#status = 'ready';
    } catch {
      this.#status = 'failed';
    }
  }
}

export const catalog = new MetricCatalog();
