/** The number of firing alerts in the tab: in its title and in its icon. */

const MOST = 99;

function shortCount(firing: number): string {
  return firing > MOST ? `${MOST}+` : String(firing);
}

/** The tab's title with the number of alerts that fire in front. */
export function titleWithCount(title: string, firing: number): string {
  return firing === 0 ? title : `(${shortCount(firing)}) ${title}`;
}

/** The tab's icon with the number on it, as an address of its own. */
export function iconWithCount(firing: number): string {
  const text = shortCount(firing);
  const size = [19, 15, 12][text.length - 1] ?? 12;
  const picture = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><rect width="32" height="32" rx="7" fill="#c4271b"/><text x="16" y="16" dy=".36em" text-anchor="middle" font-family="sans-serif" font-weight="700" font-size="${size}" fill="#fff">${text}</text></svg>`;
  return `data:image/svg+xml,${encodeURIComponent(picture)}`;
}
