/** All that the palette leads to: screens, hosts, services, file systems, and the switches of the page. */
import { keyOf } from '../domain/file-systems.ts';
import { isOffered } from '../domain/permission.ts';
import {
  alertAddress,
  alertsAddress,
  disksAddress,
  exploreAddress,
  fleetAddress,
  hostAddress,
  rulesAddress,
  servicesAddress,
  SETTINGS_SECTIONS,
  settingsAddress,
} from '../routes.ts';
import { sentence } from '../domain/alerts.ts';
import { alerts } from '../state/alerts.svelte.ts';
import { address } from '../state/address.svelte.ts';
import { fileSystems } from '../state/file-systems.svelte.ts';
import { fleet } from '../state/fleet.svelte.ts';
import { LANGUAGES, language, t } from '../state/language.svelte.ts';
import { session } from '../state/session.svelte.ts';
import { THEMES, theme } from '../state/theme.svelte.ts';
import { SECTION_NAMES } from './section-names.ts';

export interface Entry {
  text: string;
  kind: string;
  act: () => void;
}

const THEME_NAMES = { system: 'theme.system', light: 'theme.light', dark: 'theme.dark' } as const;

function leading(text: string, kind: string, to: string): Entry {
  return { text, kind, act: () => address.go(to) };
}

/** The screens, and the sections of the settings that this person may see. */
export function screenEntries(): Entry[] {
  const kind = t('palette.screen');
  const role = session.who?.role ?? 'viewer';
  const sections = SETTINGS_SECTIONS.filter((name) => isOffered(name, role));
  return [
    leading(t('fleet.title'), kind, fleetAddress()),
    leading(t('disks.title'), kind, disksAddress()),
    leading(t('alerts.title'), kind, alertsAddress()),
    leading(t('rules.title'), kind, rulesAddress()),
    leading(t('alerts.history'), kind, alertsAddress({ tab: 'history' })),
    leading(t('alerts.silences'), kind, alertsAddress({ tab: 'silences' })),
    leading(t('rules.channels'), kind, rulesAddress('channels')),
    leading(t('services.title'), kind, servicesAddress()),
    leading(t('explore.title'), kind, exploreAddress()),
    ...sections.map((name) =>
      leading(t(SECTION_NAMES[name]), t('settings.title'), settingsAddress(name)),
    ),
  ];
}

/** Alerts that fire; of many with the same words one leads to all of them. */
export function alertEntries(): Entry[] {
  const found = new Map<string, Entry>();
  for (const alert of alerts.list?.alerts ?? []) {
    const text = `${sentence(alert, language.current)} ${alert.instance ?? ''}`.trim();
    if (alert.state === 'firing' && !found.has(text)) {
      found.set(text, leading(text, t('palette.alert'), alertAddress(alert.id)));
    }
  }
  return [...found.values()];
}

export function hostEntries(): Entry[] {
  return fleet.names().map((name) => leading(name, t('palette.host'), hostAddress(name)));
}

export function serviceEntries(names: readonly string[]): Entry[] {
  return names.map((name) => leading(name, t('palette.service'), servicesAddress({ name })));
}

export function fileSystemEntries(): Entry[] {
  return fileSystems.all.map((system) =>
    leading(
      `${system.instance} ${system.mountpoint}`,
      t('palette.file_system'),
      disksAddress({ open: keyOf(system) }),
    ),
  );
}

/** Theme, language, and the way out. */
export function actionEntries(): Entry[] {
  return [
    ...THEMES.map((id) => ({
      text: t(THEME_NAMES[id]),
      kind: t('palette.theme'),
      act: () => theme.choose(id),
    })),
    ...LANGUAGES.map(({ id, name }) => ({
      text: name,
      kind: t('palette.language'),
      act: () => language.choose(id),
    })),
    { text: t('action.sign_out'), kind: t('palette.action'), act: () => void session.signOut() },
  ];
}
