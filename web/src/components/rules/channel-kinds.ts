/** What each kind of channel is called, and what it needs to be told. */
import type { ChannelSpec } from '../../api/types.ts';
import type { MessageKey } from '../../domain/messages.ts';

type Kind = ChannelSpec['kind'];

export const KIND_NAMES: Record<Kind, MessageKey> = {
  webhook: 'channels.webhook',
  email: 'channels.email',
  alertmanager: 'channels.alertmanager',
};

/** A field of a channel; a secret is written and never read. */
export interface ChannelField {
  name: string;
  text: MessageKey;
  hint: string;
  secret: boolean;
  required: boolean;
}

const field = (name: string, text: MessageKey, hint: string, required = false): ChannelField => ({
  name,
  text,
  hint,
  secret: false,
  required,
});
const secret = (name: string, text: MessageKey): ChannelField => ({
  name,
  text,
  hint: '',
  secret: true,
  required: false,
});

export const KIND_FIELDS: Record<Kind, readonly ChannelField[]> = {
  webhook: [
    field('url', 'channels.url', 'https://hooks.example.org/muster', true),
    secret('authorization', 'channels.authorization'),
  ],
  alertmanager: [
    field('url', 'channels.url', 'https://alertmanager.example.org:9093', true),
    secret('authorization', 'channels.authorization'),
  ],
  email: [
    field('to', 'channels.to', 'ops@example.org', true),
    field('from', 'channels.from', 'muster@example.org', true),
    field('server', 'channels.server', 'mail.example.org:587', true),
    field('tls', 'channels.tls', 'starttls'),
    field('user', 'channels.user', 'muster'),
    secret('password', 'channels.password'),
  ],
};
