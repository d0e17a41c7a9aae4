// Pictures of devices and of the navigation, drawn on 24 by 24 with round strokes.

import type { Kind } from './types';

const DEVICES: Record<Kind | 'server' | 'box' | 'everyone', string> = {
  unknown: 'M5 5h14v14H5z M9.6 9.7a2.5 2.5 0 1 1 3.6 2.2c-.8.4-1.2.8-1.2 1.6 M12 16.2v.1',
  lock: 'M6 11h12v9H6z M8.5 11V7.5a3.5 3.5 0 0 1 7 0V11 M12 14.5v2',
  alarm: 'M6 17V11a6 6 0 0 1 12 0v6 M4 17h16 M10.5 20h3 M12 5V3',
  camera: 'M3 7h12v10H3z M15 11l6-3v8l-6-3 M7 10.5h2',
  gas: 'M12 3c1 4 5 5.5 5 10a5 5 0 0 1-10 0c0-2 1-3 2-4 .5 1.5 1 2 2 2 .8-2.5 0-5 1-8z',
  medical: 'M4 4h16v16H4z M12 8v8 M8 12h8',
  heating: 'M10 13.5V5a2 2 0 0 1 4 0v8.5a4 4 0 1 1-4 0z M12 9v7',
  light: 'M9 18h6 M10 21h4 M8.5 14.5a6 6 0 1 1 7 0c-.5.5-.5 1-.5 1.5h-6c0-.5 0-1-.5-1.5z',
  plug: 'M9 3v5 M15 3v5 M6 8h12v3a6 6 0 0 1-12 0z M12 17v4',
  blind: 'M4 4h16 M5 8h14 M5 12h14 M5 16h14 M5 4v16 M19 4v16',
  fan: 'M12 12m-1.5 0a1.5 1.5 0 1 0 3 0a1.5 1.5 0 1 0-3 0 M12 10.5C10 6 12 3.5 14 4s2 4-1 6.8 M13.3 12.7c4.9.6 6 3.6 4.6 5s-4.4-.3-5.3-4.2 M10.7 12.7C7.8 16.6 4.6 16 4 14s2.2-3.6 6.2-2.5',
  sensor: 'M12 12m-2 0a2 2 0 1 0 4 0a2 2 0 1 0-4 0 M7.8 16.2a6 6 0 0 1 0-8.5 M16.2 7.8a6 6 0 0 1 0 8.5 M5 19a10 10 0 0 1 0-14 M19 5a10 10 0 0 1 0 14',
  meter: 'M4 17a8.5 8.5 0 1 1 16 0z M12 15l3.5-4.5',
  battery: 'M3 8h15v8H3z M18 11h3v2h-3 M6.5 10.5v3 M10 10.5v3',
  inverter: 'M12 12m-3.5 0a3.5 3.5 0 1 0 7 0a3.5 3.5 0 1 0-7 0 M12 3v2 M12 19v2 M3 12h2 M19 12h2 M5.6 5.6 7 7 M17 17l1.4 1.4 M18.4 5.6 17 7 M7 17l-1.4 1.4',
  charger: 'M5 20V5h8v15 M3 20h12 M9.5 8l-1.5 3.5h2.5L9 15 M13 12h2.5v4.5a1.5 1.5 0 0 0 3 0V9L16 6.5',
  washing_machine: 'M5 3h14v18H5z M12 13.5m-4 0a4 4 0 1 0 8 0a4 4 0 1 0-8 0 M8 6h.1 M11 6h.1 M10 13.5c1.3-1.2 2.7 1.2 4 0',
  fridge: 'M6 3h12v18H6z M6 10h12 M9 6v1.5 M9 13v3',
  coffee_machine: 'M5 9h11v6a4 4 0 0 1-4 4H9a4 4 0 0 1-4-4z M16 10h2a2 2 0 0 1 0 5h-2 M8 3v2.5 M12 3v2.5',
  vacuum: 'M5 10h14v9H5z M12 10V6 M9 6h3 M3 13.5v2 M21 13.5v2 M9.5 13.5v1.5 M14.5 13.5v1.5',
  watering: 'M12 3.5c3 4 5.5 6.7 5.5 10a5.5 5.5 0 0 1-11 0c0-3.3 2.5-6 5.5-10z',
  speaker: 'M6 3h12v18H6z M12 14.5m-3.2 0a3.2 3.2 0 1 0 6.4 0a3.2 3.2 0 1 0-6.4 0 M12 7h.1',
  media: 'M3 6h18v12H3z M8 21h8',
  toy: 'M12 13m-5 0a5 5 0 1 0 10 0a5 5 0 1 0-10 0 M7 9.5a2.5 2.5 0 1 1 2.5-2 M17 9.5a2.5 2.5 0 1 0-2.5-2 M10.3 12h.1 M13.7 12h.1 M11 15.5h2',
  hub: 'M4 11l8-7 8 7 M6 9.5V20h12V9.5 M10 20v-5h4v5',
  router: 'M3 14h18v6H3z M7 17h.1 M11 17h.1 M12 14v-3 M8.5 8a5 5 0 0 1 7 0 M6 5.5a8.5 8.5 0 0 1 12 0',
  storage: 'M4 5h16v6H4z M4 13h16v6H4z M8 8h.1 M8 16h.1',
  computer: 'M5 5h14v10H5z M3 19h18',
  phone: 'M7 2.5h10v19H7z M11.5 18.5h1',
  printer: 'M7 8V3h10v5 M4 8h16v8h-3 M7 16H4V8 M7 13h10v8H7z',
  controller: 'M7 7h10v10H7z M10 3.5V7 M14 3.5V7 M10 17v3.5 M14 17v3.5 M3.5 10H7 M3.5 14H7 M17 10h3.5 M17 14h3.5',
  machine: 'M12 12m-3 0a3 3 0 1 0 6 0a3 3 0 1 0-6 0 M12 3.5v3 M12 17.5v3 M3.5 12h3 M17.5 12h3 M6 6l2.1 2.1 M15.9 15.9 18 18 M18 6l-2.1 2.1 M8.1 15.9 6 18',
  other: 'M5 5h14v14H5z M9 12h.1 M12 12h.1 M15 12h.1',
  server: 'M7 18.5a4.5 4.5 0 0 1-.5-8.97 6 6 0 0 1 11.5 1.5A3.8 3.8 0 0 1 17.5 18.5z',
  box: 'M12 2.5 20 6v6c0 4.6-3.3 7.9-8 9.5C7.3 19.9 4 16.6 4 12V6z M8.5 12l2.5 2.5 4.5-5',
  everyone: 'M12 5m-2 0a2 2 0 1 0 4 0a2 2 0 1 0-4 0 M5.5 18m-2 0a2 2 0 1 0 4 0a2 2 0 1 0-4 0 M18.5 18m-2 0a2 2 0 1 0 4 0a2 2 0 1 0-4 0 M11 7l-4.5 9 M13 7l4.5 9 M7.5 18h9',
};

const SIGNS = {
  decide: 'M3 13l3-8h12l3 8v6H3z M3 13h5l1.5 2.5h5L16 13h5',
  map: 'M6 16m-2 0a2 2 0 1 0 4 0a2 2 0 1 0-4 0 M10 7m-2 0a2 2 0 1 0 4 0a2 2 0 1 0-4 0 M18 10m-2 0a2 2 0 1 0 4 0a2 2 0 1 0-4 0 M15 19m-2 0a2 2 0 1 0 4 0a2 2 0 1 0-4 0 M9.2 8.8 6.8 14.2 M12 7.7l4 1.6 M8 16.7l5 1.7 M17.4 11.9l-1.7 5.3',
  devices: 'M6 2.5h12v19H6z M11 18.5h2',
  history: 'M4 12a8 8 0 1 1 2.5 5.8 M4 5v4.5h4.5 M12 8v4.5l3 1.8',
  close: 'M6 6l12 12 M18 6L6 18',
  back: 'M15 5l-7 7 7 7',
  menu: 'M4 7h16 M4 12h16 M4 17h16',
  search: 'M10.5 10.5m-6 0a6 6 0 1 0 12 0a6 6 0 1 0-12 0 M15 15l5 5',
  check: 'M5 12.5l4.5 4.5L19 7.5',
  edit: 'M4 20l1-4L16 5l3 3L8 19z',
  download: 'M12 4v11 M7 10.5l5 5 5-5 M5 20h14',
  settings: 'M12 12m-3 0a3 3 0 1 0 6 0a3 3 0 1 0-6 0 M12 4v3 M12 17v3 M4 12h3 M17 12h3 M6.3 6.3l2.2 2.2 M15.5 15.5l2.2 2.2 M17.7 6.3l-2.2 2.2 M8.5 15.5l-2.2 2.2',
  file: 'M7 3h7l4 4v14H7z M14 3v4h4',
  toggle: 'M8 8h8a4 4 0 0 1 0 8H8a4 4 0 0 1 0-8z M16 12m-1.5 0a1.5 1.5 0 1 0 3 0a1.5 1.5 0 1 0-3 0',
} as const;

export type Sign = keyof typeof SIGNS;

/** Picture of a kind of device; an unknown kind has the question mark. */
export const deviceIcon = (kind: string): string => (Object.hasOwn(DEVICES, kind) ? DEVICES[kind as Kind] : DEVICES.unknown);

export const signIcon = (sign: Sign): string => SIGNS[sign];
