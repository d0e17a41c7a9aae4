import { describe, expect, it } from 'vitest';

import { consequence, read, whoIs, type Principals } from './reading';
import type { Cause, Edge, End, Fact, Fault, Principal } from './types';
import { LANGS, exactly, lifetimeText, moment, preferredLang, ruleText, when, whyUnusual, wordsFor } from './words';
import { hourHere, runs } from './words/make';

const en = wordsFor('en');
const de = wordsFor('de');

const end = (id: number, name: string, kind: string, confirmed = true): End => ({ id, name, kind, confirmed });
const hub = end(20, 'Home hub', 'hub');
const lock = end(21, 'Front door lock', 'lock');
const washer = end(22, 'Washing machine', 'washing_machine');
const cloud = end(30, 'cloud.example', 'unknown', false);

const outside: Principals = new Map([[30, { id: 30, mode: 'outside' } as Principal]]);

function edge(change: Partial<Edge>): Edge {
  return {
    id: 8,
    plane: 'packet',
    from: washer,
    to: hub,
    verb: 'publish',
    object: 'lock/front/set',
    meaning: null,
    state: 'pending',
    since: 0,
    by: null,
    until: null,
    lifetime: null,
    uses: null,
    reason: 'edge.unknown',
    violated: 'op.not_in_model',
    risk: 'high',
    beneficiaries: [lock],
    tries: 3,
    first_seen: 0,
    last_seen: 0,
    rev: 1,
    ...change,
  };
}

const say = (change: Partial<Edge>, words = en) => {
  const one = edge(change);
  return words.sentence(read(one, outside), one.object);
};

describe('the sentence', () => {
  it('names who receives a message, and through whom', () => {
    expect(say({})).toBe('Washing machine wants to control your front door lock, through Home hub');
    expect(say({}, de)).toBe('Washing machine möchte Front door lock steuern, über Home hub');
  });

  it('speaks of the riskiest receiver', () => {
    const lamp = end(25, 'Ceiling light', 'light');
    expect(say({ beneficiaries: [lamp, lock] })).toContain('front door lock');
  });

  it('does not claim a receiver where nobody is known', () => {
    expect(say({ beneficiaries: [] })).toBe('Washing machine wants to send a message to your home hub');
  });

  it('does not claim what a message does to a device that nobody has told us about', () => {
    const unknown = end(41, 'front-door-lock', 'unknown', false);
    expect(say({ beneficiaries: [unknown] })).toBe(
      'Washing machine wants to send a message to “front-door-lock”, through Home hub',
    );
  });

  it('does not claim what a connection is for', () => {
    expect(say({ verb: 'connect', object: 'tcp/8080', to: lock, beneficiaries: [] })).toBe(
      'Washing machine wants to connect to your front door lock',
    );
    expect(say({ verb: 'connect', object: 'tcp/443', to: cloud, beneficiaries: [] })).toBe(
      'Washing machine wants to talk to cloud.example',
    );
  });

  it('quotes names that devices give themselves', () => {
    const self = end(40, 'Front door lock', 'unknown', false);
    const server = end(30, '203.0.113.5', 'unknown', false);
    expect(say({ verb: 'connect', object: 'tcp/443', to: server, beneficiaries: [] })).toMatch(/talk to a server we have no name for$/);
    expect(say({ from: self, beneficiaries: [] })).toBe('“Front door lock” wants to send a message to your home hub');
  });

  it('tells devices that nobody has named from each other', () => {
    const DAY = 86_400;
    const seen = (maker: string | undefined, first_seen: number) =>
      whoIs(end(40, '02:00:00:00:00:16', 'unknown', false), new Map([[40, { maker, first_seen } as Principal]]));
    const now = Math.floor(Date.now() / 1000);
    const weekday = new Date((now - 3 * DAY) * 1000).toLocaleDateString('en', { weekday: 'long' });
    expect(en.who(seen('Espressif', now - 3 * DAY))).toBe(`a device we don't know (made by Espressif, seen since ${weekday})`);
    expect(en.who(seen(undefined, now))).toBe("a device we don't know (seen since today)");
    expect(de.who(seen('\u202EEspressif', now - DAY))).toBe('ein Gerät, das wir nicht kennen (von Espressif, gesehen seit gestern)');
    expect(en.who(seen(undefined, 86_400 * 365))).toMatch(/\(seen since .*1971\)$/);
  });

  it('names the address only where the operation is told exactly', () => {
    expect(exactly({ verb: 'connect', object: 'tcp/443', to: { name: '203.0.113.5' } })).toBe('connect tcp/443 → 203.0.113.5');
    expect(exactly({ verb: 'connect', object: 'tcp/443', to: { name: 'Lock' } })).toBe('connect tcp/443');
  });

  it('has no address as a title', () => {
    for (const name of ['02:00:00:00:00:16', '192.168.1.22', 'fe80::1', 'principal 40']) {
      expect(say({ from: end(40, name, 'unknown', false) })).toMatch(/^A device we don't know wants to/);
    }
  });

  it('keeps the capitals of proper names', () => {
    expect(say({ beneficiaries: [end(21, 'Philips lock', 'lock')] })).toContain('your Philips lock');
  });

  it('tells signing in, looking around and pinging apart', () => {
    const everyone = end(2, 'everyone', 'unknown');
    expect(say({ verb: 'connect', object: 'client:lock-1', beneficiaries: [] })).toContain('sign in');
    expect(say({ verb: 'connect', object: 'udp/5353', to: everyone, beneficiaries: [] })).toContain('look for other');
    expect(say({ verb: 'connect', object: 'icmp/8', beneficiaries: [] })).toContain('is there');
  });

  it('says what is read and changed, as far as an owner knows it', () => {
    const request = (verb: string, object: string) => say({ verb, object, beneficiaries: [] });
    expect(request('get', 'http://hub.local/api/state')).toBe(
      'Washing machine wants to read “hub.local/api/state” from your home hub',
    );
    expect(request('get', 'coap:61616:/light')).toBe('Washing machine wants to read “/light” from your home hub');
    expect(request('read', 'modbus:1/holding/100-109')).toBe('Washing machine wants to read from your home hub');
    expect(request('write', 'modbus:1/coils/5')).toBe('Washing machine wants to change values of your home hub');
    expect(request('set', 'http:8080:/api/#')).toBe('Washing machine wants to change “/api/#” at your home hub');
    expect(say({ verb: 'set', object: 'http:/open', to: lock, beneficiaries: [] })).toContain('control your front door lock');
    expect(say({ verb: 'get', object: 'http:/x', beneficiaries: [] }, de)).toBe(
      'Washing machine möchte „/x“ lesen: Home hub',
    );
  });

  it('tells what a connection speaks, and for whom it asks', () => {
    const connect = (object: string, words = en) => say({ verb: 'connect', object, beneficiaries: [] }, words);
    expect(connect('tcp/8080 http')).toBe('Washing machine wants to speak HTTP with your home hub');
    expect(connect('tcp/8080 opaque')).toContain('speak an unknown language with');
    expect(connect('udp/5683 coap', de)).toBe('Washing machine möchte mit Home hub CoAP sprechen');
    expect(connect('tls:8443:cloud.example')).toContain('asking for “cloud.example”');
    expect(connect('tls:')).toContain('without saying for whom');
    expect(connect('mqtt:8883:client:lock-1')).toContain('sign in at your home hub as “lock-1”');
    expect(connect('user:hub')).toContain('as “hub”');
  });

  it('is made in every language for every verb', () => {
    const verbs = 'connect get set publish subscribe discover resolve push read write delete replicate'.split(' ');
    for (const lang of LANGS) {
      for (const verb of verbs) {
        const text = say({ verb, beneficiaries: [] }, wordsFor(lang));
        expect(text).toMatch(/^Washing machine (wants to|möchte) \S/);
        expect(text).not.toContain('undefined');
      }
    }
  });
});

describe('risk', () => {
  const line = (change: Partial<Edge>) => {
    const one = edge(change);
    return consequence(one, read(one, outside));
  };

  it('names what could happen at the target', () => {
    expect(line({})).toBe('unlock');
    expect(line({ beneficiaries: [end(28, 'Door camera', 'camera')] })).toBe('watch');
    expect(line({ meaning: 'firmware' })).toBe('software');
  });

  it('makes nothing more frightening than the box says', () => {
    expect(line({ risk: 'low' })).toBe('small');
    expect(line({ risk: 'medium' })).toBe('new_path');
    expect(line({ risk: 'medium', verb: 'connect', to: cloud, beneficiaries: [] })).toBe('leaves_home');
  });
});

describe('why it is unusual', () => {
  const why = (change: Partial<Edge>) => {
    const one = edge(change);
    return whyUnusual(en, one, read(one, outside));
  };

  it('has at most two sentences', () => {
    expect(why({})).toBe("It has never done this before. Washing machines normally don't control locks.");
    expect(why({ violated: 'class.forbidden' })).toBe("Washing machines normally don't control locks.");
    const unknown = end(41, 'front-door-lock', 'unknown', false);
    expect(why({ violated: 'class.forbidden', beneficiaries: [unknown] })).toBe(en.unknownTarget);
  });

  it('says nothing about a kind that is not known', () => {
    expect(why({ from: end(40, 'x', 'unknown') })).toBe('It has never done this before.');
  });

  it('tells a connection from what it speaks', () => {
    expect(why({ verb: 'connect', object: 'tcp/80 tls', violated: 'protocol', beneficiaries: [] })).toContain('speaks like this');
  });

  it('says what is too much, in each language', () => {
    for (const violated of ['rate.exceeded', 'size.exceeded', 'time.unusual', 'enc.missing']) {
      for (const words of [en, de]) {
        expect(words.violated(violated, edge({}))).not.toBe(words.violated('moon.phase', edge({})));
      }
    }
  });

  it('says by how much, in each language', () => {
    const at = new Date(2031, 4, 17, 3, 10).getTime() / 1000;
    const here = (hour: number) => (hour + new Date(at * 1000).getTimezoneOffset() / 60 + 48) % 24;
    const flagged = (measured: Fact) =>
      edge({ flag: { property: '', since: at, last: at, times: 1, measured }, state: 'learned' });
    const rate = flagged({ code: 'rate', usual: 3_000, seen: 400_000, dropped: 1 });
    expect(en.violated('rate.exceeded', rate)).toContain('over 400 kB a second instead of at most 3 kB');
    expect(de.violated('rate.exceeded', rate)).toContain('über 400 kB in der Sekunde statt höchstens 3 kB');
    const size = flagged({ code: 'size', usual: 20_000, seen: 12_000_000 });
    expect(en.violated('size.exceeded', size)).toBe('Carried 12 MB within an hour; usually at most 20 kB.');
    expect(de.violated('size.exceeded', size)).toBe('Übertrug 12 MB in einer Stunde; sonst höchstens 20 kB.');
    const hour = flagged({ code: 'hour', usual: [7, 8, 9].map(here), seen: here(3) });
    expect(en.violated('time.unusual', hour)).toBe('At 03:10. Normally only between 7:00 and 10:00.');
    expect(de.violated('time.unusual', hour)).toBe('Um 03:10 Uhr. Sonst nur zwischen 7:00 und 10:00 Uhr.');
  });

  it('copes with a property of a newer daemon', () => {
    expect(why({ violated: 'moon.phase', beneficiaries: [] })).toBe('This is not among its habits.');
  });
});

describe('evidence', () => {
  const causes: Cause[] = [
    { code: 'not_in_model' },
    { code: 'guarded' },
    { code: 'other_edge', edge: 7 },
    { code: 'no_connection', port: 'tcp/81' },
    { code: 'may_not_speak', port: 'tcp/81', protocol: 'http' },
    { code: 'qos_at_most', qos: 1 },
    { code: 'monitor' },
  ];
  const facts: Fact[] = [
    { code: 'rate', usual: 2_000, seen: 10_000, dropped: 41 },
    { code: 'size', usual: 2_500_000, seen: 12_000_000 },
    { code: 'hour', usual: [6, 7, 8, 17], seen: 3 },
    { code: 'period', seconds: 900 },
    { code: 'verdict', verdict: 'DROPPED', reason: 'edge.unknown' },
    { code: 'client_taken' },
    { code: 'subscribed', who: lock },
    { code: 'encrypted', yes: false },
    { code: 'held_since', at: 1_900_000_000 },
    { code: 'meanwhile', who: hub, target: lock, at: 1_900_000_000 },
  ];
  const tell = (fact: Fact, words = en) => words.evidence.fact(fact, (one) => words.who(whoIs(one, outside)));

  it('is whole sentences in each language, and not the same ones', () => {
    const all = (words: typeof en) => [...causes.map(words.evidence.cause), ...facts.map((fact) => tell(fact, words))];
    const [english, german] = [all(en), all(de)];
    for (const text of [...english, ...german]) expect(text).toMatch(/^[\p{Lu}\d][^{}]+\.$/u);
    expect(english.filter((text) => german.includes(text))).toEqual([]);
  });

  it('says how much, and how much is usual', () => {
    expect(tell(facts[0]!)).toBe('More than 10 kB a second, at most 2 kB is usual; 41 packets were held back.');
    expect(tell(facts[1]!, de)).toBe('12 MB in einer Stunde, üblich sind höchstens 2,5 MB.');
    expect(tell({ code: 'size', usual: 0, seen: 999 })).toBe('999 bytes in an hour, at most 0 bytes is usual.');
    expect(tell(facts[6]!)).toBe('Front door lock has asked to be told of it.');
  });

  it('tells hours as clocks show them here', () => {
    const at = (hour: number) => `${hourHere(hour)}:00`;
    expect(runs([6, 7, 8, 17])).toEqual(expect.arrayContaining([[at(6), at(9)], [at(17), at(18)]]));
    expect(runs([])).toEqual([]);
    expect(runs([23, 0])).toEqual([[at(23), at(1)]]);
    expect(runs([...Array(24).keys()])).toEqual([]);
  });

  it('does not repeat what stands elsewhere in the list', () => {
    expect(tell({ code: 'tries', count: 3 })).toBeUndefined();
    expect(tell({ code: 'whereabouts', side: 'from', mac: null, port: 'lan0', addresses: [] })).toBeUndefined();
  });

  it('shows harmless what a device chose', () => {
    const port = `tcp/1\u202e${'x'.repeat(500)}`;
    expect(en.evidence.cause({ code: 'no_connection', port }).length).toBeLessThan(200);
    expect(en.evidence.cause({ code: 'no_connection', port })).not.toContain('\u202e');
  });
});

describe('facts', () => {
  it('do not say blocked where nothing is blocked', () => {
    expect(en.facts(1, true, 'today 14:02')).toBe('1 try · blocked for now · first today 14:02');
    expect(de.facts(71028, true, 'heute 14:02')).toBe('71.028 Versuche · vorerst blockiert · zuerst heute 14:02');
    expect(en.facts(3, false, 'today 14:02')).toBe('3 tries · not blocked, only watching now · first today 14:02');
  });

  it('tell days by the calendar', () => {
    const at = (day: number, hour: number) => new Date(2026, 10, day, hour, 5).getTime();
    expect(when(en, at(20, 0) / 1000, at(20, 23))).toBe('today 00:05');
    expect(when(en, at(19, 23) / 1000, at(20, 0))).toBe('yesterday 23:05');
    expect(when(de, at(18, 9) / 1000, at(20, 0))).toBe('18. Nov. 09:05');
    expect(when(en, null, at(20, 0))).toBe('–');
  });

  it('tell learning in days, or in less for a demonstration', () => {
    const learning = { habits: 11, percent: 50, capped: false, at_least_seconds: 3 * 86_400 - 3_600, since: 0 };
    expect(en.learning(learning, 2 * 86_400 + 3_600)).toBe('Day 3, at least 5 · 11 habits learned');
    expect(en.learning({ ...learning, habits: 1, at_least_seconds: 40 }, 20)).toBe(
      'At least 40 seconds more · 1 habit learned',
    );
    expect(de.learning({ ...learning, at_least_seconds: 0 }, 20)).toBe('11 Gewohnheiten gelernt');
  });
});

describe('history', () => {
  const decision = (what: string, detail: string) =>
    ({ what, detail, id: 1, at: 0, by: 'Phone', undone: false, hash: '' }) as const;

  it('tells where a change of mode led', () => {
    const learnt = decision('mode', 'ready to enforcing: it is time');
    expect(en.history.entry(learnt, 'Battery', '', '')).toBe('Battery: Protected');
    expect(de.history.entry(decision('mode', 'site to enforce: asked'), '', '', '')).toBe('Blockieren begonnen');
  });

  it('tells lifetimes, and shows as it is what it does not know', () => {
    expect(lifetimeText(en, 'for 3600 s')).toBe('for 1 hour');
    expect(lifetimeText(en, '3 uses')).toBe('3 times');
    expect(lifetimeText(de, 'until_restart')).toBe('bis die Box neu startet');
    expect(lifetimeText(en, 'while the moon shines')).toBe('while the moon shines');
    expect(lifetimeText(en, 'for 3600 s, neutralised')).toBe('for 1 hour, made harmless instead of cut off');
    expect(lifetimeText(de, 'always, not retained, QoS at most 1')).toBe('immer, nicht aufbewahrt, QoS höchstens 1');
  });

  it('says who decided about a connection, and for how long', () => {
    const now = new Date(2026, 5, 17, 14, 20).getTime();
    const rule = (change: Partial<Edge>) => ruleText(en, { state: 'allowed', by: 'Anna', lifetime: 'always', ...change } as Edge, now);
    expect(rule({ state: 'pending' })).toBe('–');
    expect(rule({ state: 'learned', by: null })).toBe('habit');
    expect(rule({})).toBe('Anna');
    expect(rule({ lifetime: 'for', until: now / 1000 + 600 })).toBe('Anna, until today 14:30');
    expect(rule({ lifetime: 'uses', uses: 3 })).toBe('Anna, 3 times');
    expect(rule({ state: 'denied', lifetime: 'until_restart' })).toBe('Anna, until the box restarts');
    expect(rule({ by: null })).toBe('–');
  });
});

describe('what devices say of themselves', () => {
  it('is quoted, cut and harmless, in every clue and ban', () => {
    const evil = `\u202e${'x'.repeat(200)}\u0007`;
    for (const lang of LANGS) {
      const words = wordsFor(lang);
      for (const code of ['offers', 'announces', 'vendor_class', 'name', 'mud_url', 'maker', 'serves', 'of a newer box']) {
        const text = words.guess.clue({ code, value: evil });
        expect(text).not.toMatch(/[\u202e\u0007]/);
        expect(text.length).toBeLessThan(150);
      }
      expect(words.bans.why(evil)).not.toMatch(/[\u202e\u0007]/);
    }
  });

  it('has a sentence for each clue that the box knows', () => {
    expect(en.guess.clue({ code: 'offers', value: '_ipp._tcp' })).toBe('it offers _ipp._tcp');
    expect(de.guess.clue({ code: 'parameters', value: '' })).toContain('beim Anmelden');
  });
});

describe('faults', () => {
  const now = new Date(2031, 4, 17, 15, 0).getTime();
  const today = new Date(2031, 4, 17, 14, 5).getTime() / 1000;

  it('say since when and what to do', () => {
    const fault: Fault = { code: 'not_attached', error: 'ENOENT', since: today };
    const [english, german] = [en, de].map((words) => words.bars.fault(fault, moment(words, fault.since, now)));
    expect(english).toMatch(/^Protection is not running since 14:05: .* Restart the box/);
    expect(german).toMatch(/^Der Schutz läuft seit 14:05 nicht: .* Starten Sie die Box neu/);
    expect(moment(en, today - 24 * 3600, now)).toBe('yesterday 14:05');
  });
});

describe('coverage', () => {
  it('is told by count, also where all is covered', () => {
    expect(en.coverage.pairs(0, 6)).toBe('Every pair of devices is covered.');
    expect(en.coverage.pairs(1, 1)).toContain('1 of 1 pair of devices');
    expect(de.coverage.pairs(3, 10)).toContain('3 von 10 Paaren');
  });
});

describe('who', () => {
  it('is the box, everyone or a server by number, whatever they are called', () => {
    expect(whoIs(end(1, 'Bank', 'unknown'), outside)).toEqual({ is: 'box' });
    expect(whoIs(end(2, 'Bank', 'unknown'), outside)).toEqual({ is: 'everyone' });
    expect(whoIs(end(0, 'Bank', 'unknown'), outside)).toEqual({ is: 'server', name: undefined });
  });
});

describe('language', () => {
  it('is the chosen one, else the first of the browser that we have', () => {
    expect(preferredLang('de', ['en-GB'])).toBe('de');
    expect(preferredLang(null, ['fr-FR', 'de-AT', 'en'])).toBe('de');
    expect(preferredLang('xx', ['fr'])).toBe('en');
  });
});
