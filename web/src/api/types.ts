/**
 * The shapes of the API as the page reads them: Muster's own from the server's OpenAPI document,
 * Prometheus's by hand. Times are milliseconds since 1970, sizes bytes, shares percent.
 */
import type { components } from './schema.d.ts';

type Schemas = components['schemas'];

/** The server leaves no field out: what it does not know is `null`. */
type Told<T> = { [Field in keyof T]-?: Exclude<T[Field], undefined> };

export type Role = Schemas['Role'];
export type Session = Told<Schemas['Session']>;
export type Host = Told<Schemas['Host']>;

/** All hosts, or in the live stream after the first event only those that changed. */
export interface Hosts {
  now_ms: number;
  hosts: Host[];
  removed?: string[];
  /** Of hosts of which nothing else changed, in columns of equal length. */
  figures?: Told<Schemas['HostFigures']> | null;
}

/** The last minute of all hosts, a value every `step_ms`. */
export type RecentHosts = Schemas['RecentList'];

export type FileSystem = Told<Omit<Schemas['FileSystem'], 'growth'>> & {
  growth: Told<Schemas['Growth']>;
};

/** All file systems of the fleet, and the hosts that tell of none. */
export interface FileSystems {
  now_ms: number;
  file_systems: FileSystem[];
  missing: string[];
}

/** One moment of the live query stream; a result's `query` counts the `q` parameters from 0. */
export interface LivePoints {
  timestamp_ms: number;
  results: { query: number; series: Told<Schemas['LiveSeries']>[] }[];
}

/** A token that was just made; the server shows it this once. */
export type NewSecret = Schemas['NewSecret'];

export type SignInWays = Schemas['SignInWays'];
export type Account = Schemas['Account'];
export type OpenSession = Schemas['OpenSession'];
export type SecondFactorSecret = Schemas['SecondFactorSecret'];
export type Person = Schemas['Person'];
export type NewPassword = Schemas['NewPassword'];
export type ApiToken = Schemas['ApiToken'];
export type EnrollToken = Schemas['EnrollToken'];
export type NewEnrollToken = Schemas['CreateEnrollToken'];
export type Agent = Schemas['Agent'];
export type AgentSettings = Schemas['AgentSettings'];
export type SettingsLayer = Schemas['SettingsLayer'];
export type SettingsLayers = Schemas['SettingsLayers'];
export type AuditEntry = Schemas['AuditEntry'];
export type AuditPage = Schemas['AuditPage'];
export type Settings = Schemas['Settings'];
export type About = Schemas['About'];

export type Severity = Schemas['Severity'];
export type Alert = Told<Schemas['Alert']>;
export type AlertCounts = Schemas['AlertCounts'];
export type AlertEpisode = Told<Schemas['AlertEpisode']>;
export type TrailStep = Told<Schemas['TrailStep']>;
export type TrailKind = Schemas['TrailKind'];

/** All alerts that are there now, the most urgent and newest first. */
export interface AlertList {
  alerts: Alert[];
  counts: AlertCounts;
  at_ms: number;
}

/** Past firings, the newest first; `before` leads to older ones. */
export interface AlertHistory {
  episodes: AlertEpisode[];
  before: string | null;
}

/** An alert with its paper trail, its neighbours and its earlier firings. */
export interface AlertDetail {
  alert: Alert;
  trail: TrailStep[];
  related: Alert[];
  episodes: AlertEpisode[];
}

export type UnusualSeries = Schemas['UnusualSeries'];
export type UnusualList = Schemas['UnusualList'];

/** Why somebody was not told. */
export interface WhyNot {
  answer: string;
  code: string;
  trail: TrailStep[];
  alerts: AlertEpisode[];
}

export type SilenceMatcher = Schemas['SilenceMatcher'];
export type SilenceSpec = Schemas['SilenceSpec'];
export type Silence = Schemas['Silence'];

export type ChannelSpec = Schemas['ChannelSpec'];
export type Channel = Told<Schemas['Channel']>;
export type ChannelTest = Schemas['ChannelTest'];
export type Routing = Schemas['Routing'];
export type OutboxMessage = Told<Schemas['OutboxMessage']>;
export interface OutboxPage {
  messages: OutboxMessage[];
  waiting: number;
}

export type RuleLevel = Told<Schemas['RuleLevel']>;
export type LevelChange = Partial<Schemas['LevelChange']>;
export type RuleLayer = Schemas['RuleLayer'];
export type BuiltInRule = Told<Omit<Schemas['BuiltInRule'], 'levels'>> & { levels: RuleLevel[] };
export type RuleDocument = Told<Schemas['RuleDocument']>;
export interface RuleList {
  built_in: BuiltInRule[];
  documents: RuleDocument[];
  groups: string[];
}
export type RuleProblems = Schemas['RuleProblems'];
export type Backtest = Partial<Omit<Schemas['Backtest'], 'levels'>> & {
  levels?: Record<string, LevelChange>;
};
export type BacktestResult = Schemas['BacktestResult'];

export type Service = Told<Schemas['Service']>;
export type ServiceHealth = Schemas['ServiceHealth'];
export type ServiceGroup = Schemas['ServiceGroup'];
export type ServiceCounts = Schemas['ServiceCounts'];

/** A page of services, or of their groups. */
export interface ServiceList {
  now_ms: number;
  counts: ServiceCounts;
  hosts: number;
  matching: number;
  services: Service[];
  groups: ServiceGroup[];
}

/** A series of `/api/v1/query_range`: Prometheus writes seconds, and values as text. */
export interface MatrixSeries {
  metric: Record<string, string>;
  values: [number, string][];
}

/** The data of `/api/v1/query`, by its kind. */
export type InstantResult =
  | { resultType: 'vector'; result: { metric: Record<string, string>; value: [number, string] }[] }
  | { resultType: 'matrix'; result: MatrixSeries[] }
  | { resultType: 'scalar' | 'string'; result: [number, string] };

/** What is known of a metric; `type` is `counter`, `gauge`, … or `unknown`. */
export interface MetricMetadata {
  type: string;
  help: string;
  unit: string;
}
