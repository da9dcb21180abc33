/**
 * A stand-in for the server, for work on the page alone: it serves `dist` and answers the API with an
 * invented fleet. Run `npm run build && node dev/mock.mjs --hosts 50 --port 6900`; the user is
 * `admin`, the password `admin`. Failures to look at: `--fail hosts`, `--fail live`, `--fail query`.
 */
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { join, normalize } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

import { evaluate, fileSystems, makeHosts, moved } from './invented.mjs';

const { values: flags } = parseArgs({
  options: {
    hosts: { type: 'string', default: '50' },
    port: { type: 'string', default: '6900' },
    fail: { type: 'string', default: '' },
    open: { type: 'boolean', default: false },
  },
});
const DIST = fileURLToPath(new URL('../dist', import.meta.url));
const POLICY =
  "default-src 'self'; script-src 'self'; style-src 'self'; img-src 'self' data:; frame-ancestors 'none'";
const TYPES = {
  html: 'text/html; charset=utf-8',
  js: 'text/javascript',
  css: 'text/css',
  svg: 'image/svg+xml',
};

const hosts = makeHosts(Number(flags.hosts), Date.now());
const who = { user: 'admin', role: 'admin', expires_ms: Date.now() + 86_400_000 };
let failures = 0;

function json(response, status, body, headers = {}) {
  response.writeHead(status, { 'Content-Type': 'application/json', ...headers });
  response.end(body === undefined ? '' : JSON.stringify(body));
}

async function body(request) {
  let text = '';
  for await (const piece of request) text += piece;
  return text === '' ? {} : JSON.parse(text);
}

async function session(request, response) {
  if (request.method === 'POST') {
    const { user, password } = await body(request);
    if (failures >= 4) {
      return json(
        response,
        429,
        { error: 'too many attempts', code: 'too_many_attempts' },
        { 'Retry-After': '30' },
      );
    }
    if (user !== 'admin' || password !== 'admin') {
      failures += 1;
      return json(response, 401, { error: 'user or password is wrong', code: 'bad_credentials' });
    }
    failures = 0;
    return json(response, 200, who, { 'Set-Cookie': 'mock=1; Path=/; HttpOnly; SameSite=Strict' });
  }
  if (request.method === 'DELETE') {
    return json(response, 204, undefined, { 'Set-Cookie': 'mock=; Path=/; Max-Age=0' });
  }
  return json(response, 200, who);
}

function stream(request, response, every_ms, first, next) {
  response.writeHead(200, { 'Content-Type': 'text/event-stream', 'Cache-Control': 'no-store' });
  response.write(first());
  const ticks = setInterval(() => response.write(next()), every_ms);
  const beats = setInterval(() => response.write(': alive\n\n'), 10_000);
  request.on('close', () => {
    clearInterval(ticks);
    clearInterval(beats);
  });
}

const event = (name, data) => `event: ${name}\ndata: ${JSON.stringify(data)}\n\n`;

function liveHosts(request, response) {
  const all = () => event('hosts', { now_ms: Date.now(), hosts });
  const some = () => {
    const changed = hosts.filter(() => Math.random() < 0.4);
    for (const host of changed) moved(host, Date.now());
    const column = (name) => changed.map((host) => host[name] ?? null);
    const figures = {
      instances: column('instance'),
      cpu_percent: column('cpu_percent'),
      memory_percent: column('memory_percent'),
      swap_percent: column('swap_percent'),
      load1: column('load1'),
      receive_bytes_per_second: column('receive_bytes_per_second'),
      transmit_bytes_per_second: column('transmit_bytes_per_second'),
    };
    return event('hosts', { now_ms: Date.now(), hosts: [], figures });
  };
  stream(request, response, 2_000, all, some);
}

function liveQuery(request, response, query) {
  const expressions = query.getAll('q');
  const points = () => {
    const timestamp_ms = Math.floor(Date.now() / 1000) * 1000;
    const results = expressions.map((expression, place) => ({
      query: place,
      series: evaluate(hosts, expression, timestamp_ms).map(({ metric, value }) => ({
        labels: metric,
        value,
      })),
    }));
    return event('points', { timestamp_ms, results });
  };
  stream(request, response, 1_000, points, points);
}

function queryRange(response, query) {
  const [start, end, step] = ['start', 'end', 'step'].map((name) => Number(query.get(name)));
  const found = new Map();
  for (let time_s = start; time_s <= end; time_s += step) {
    for (const { metric, value } of evaluate(hosts, query.get('query') ?? '', time_s * 1000)) {
      const key = JSON.stringify(metric);
      if (!found.has(key)) found.set(key, { metric, values: [] });
      found.get(key).values.push([time_s, String(value)]);
    }
  }
  json(response, 200, {
    status: 'success',
    data: { resultType: 'matrix', result: [...found.values()] },
  });
}

const FIGURES = ['cpu_percent', 'load1', 'receive_bytes_per_second', 'transmit_bytes_per_second'];

function recent(response) {
  const [step_ms, points] = [5_000, 12];
  const first_ms = Date.now() - step_ms * points;
  const lines = (host) => {
    const at = Array.from({ length: points }, (_, place) =>
      moved({ ...host }, first_ms + place * step_ms),
    );
    const [cpu, load, receive, transmit] = FIGURES.map((name) => at.map((one) => one[name]));
    return { cpu, load, receive, transmit };
  };
  const found = hosts.map((host) => [host.instance, lines(host)]);
  json(response, 200, { first_ms, step_ms, hosts: Object.fromEntries(found) });
}

function hostsAt(response, time_ms) {
  const now_ms = time_ms === null ? Date.now() : Number(time_ms);
  json(response, 200, { now_ms, hosts: hosts.map((host) => moved({ ...host }, now_ms)) });
}

async function asset(response, path) {
  const wanted = normalize(join(DIST, path));
  const file = wanted.startsWith(DIST) && /\.\w+$/.test(path) ? wanted : join(DIST, 'index.html');
  try {
    const bytes = await readFile(file);
    const type = TYPES[file.split('.').pop()] ?? 'application/octet-stream';
    response.writeHead(200, { 'Content-Type': type, 'Content-Security-Policy': POLICY });
    response.end(bytes);
  } catch {
    json(response, 404, { error: 'no such file' });
  }
}

createServer(async (request, response) => {
  const { pathname, searchParams } = new URL(request.url ?? '/', 'http://mock');
  if (!pathname.startsWith('/api/')) return asset(response, pathname);
  const known = flags.open || (request.headers.cookie ?? '').includes('mock=1');
  const signingIn = pathname === '/api/muster/v1/session' && request.method === 'POST';
  if (!known && !signingIn)
    return json(response, 401, { error: 'sign in first', code: 'not_signed_in' });
  if (pathname === '/api/muster/v1/session') return session(request, response);
  const failing = { hosts: '/live/hosts', live: '/live/query', query: '/query_range' }[flags.fail];
  if (failing !== undefined && pathname.endsWith(failing)) {
    return json(response, 503, { error: 'the store is being opened, at 43 %', code: 'not_ready' });
  }
  if (pathname === '/api/muster/v1/enroll-tokens')
    return json(response, 200, {
      id: '1',
      token: 'mst_join_5f2c9b1e',
      expires_ms: null,
      ca_fingerprint: `sha256:${'9f86d081884c7d65'.repeat(4)}`,
      install_sha256: '370502c33d71f33a'.repeat(4),
    });
  if (pathname === '/api/muster/v1/hosts') return hostsAt(response, searchParams.get('time_ms'));
  if (pathname === '/api/muster/v1/fleet/recent') return recent(response);
  if (pathname === '/api/muster/v1/file-systems')
    return json(response, 200, {
      now_ms: Date.now(),
      file_systems: fileSystems(hosts, Date.now()),
      missing: hosts.filter((host) => host.state === 'silent').map((host) => host.instance),
    });
  if (pathname === '/api/muster/v1/live/hosts') return liveHosts(request, response);
  if (pathname === '/api/muster/v1/live/query') return liveQuery(request, response, searchParams);
  if (pathname === '/api/v1/query_range') return queryRange(response, searchParams);
  return json(response, 404, { error: 'no such address', code: 'not_found' });
}).listen(Number(flags.port), '127.0.0.1', () => {
  console.log(`page: http://127.0.0.1:${flags.port}/`);
});
