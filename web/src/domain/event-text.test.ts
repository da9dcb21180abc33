/** Server-sent events, however the network cuts them. */
import { expect, test } from 'vitest';

import { EventReader } from './event-text.ts';

const TEXT =
  ': alive\n\nevent: hosts\ndata: {"a":\ndata: 1}\n\ndata: plain\r\n\r\nevent: empty\n\n';
const EVENTS = [
  { name: 'hosts', data: '{"a":\n1}' },
  { name: 'message', data: 'plain' },
];

test('events come whole from every cut of the text', () => {
  for (let cut = 0; cut <= TEXT.length; cut += 1) {
    const reader = new EventReader();
    expect([...reader.read(TEXT.slice(0, cut)), ...reader.read(TEXT.slice(cut))]).toEqual(EVENTS);
  }
});

test('events come whole letter by letter', () => {
  const reader = new EventReader();
  expect([...TEXT].flatMap((letter) => reader.read(letter))).toEqual(EVENTS);
});
