// German.

import { assertNever } from '../assert';
import { SIGN_IN, type Action, type Who } from '../reading';
import type { Cause, Edge, End, Fact, Fault, ProblemCode } from '../types';
import {
  bytes,
  capital,
  dayTime,
  hourHere,
  kindText,
  listed,
  learningDays,
  modeText,
  pathOf,
  problemText,
  protocolOf,
  quoted,
  runs,
  serverName,
  serverOf,
  siteModeText,
  sizeText,
  spans,
  timeOf,
  unknownWho,
  type Words,
} from './make';

const deDuration = spans([
  ['Tag', 'Tage'],
  ['Stunde', 'Stunden'],
  ['Minute', 'Minuten'],
  ['Sekunde', 'Sekunden'],
]);

const deWho = (who: Who): string => {
  switch (who.is) {
    case 'box':
      return 'diese Box';
    case 'everyone':
      return 'alle Geräte';
    case 'server':
      return serverName(who.name, 'ein Server im Internet', 'ein Server ohne bekannten Namen');
    case 'named':
      return who.name;
    case 'unnamed':
      return `„${who.name}“`;
    case 'unknown':
      return unknownWho(de, 'ein Gerät, das wir nicht kennen', who);
    default:
      return assertNever(who);
  }
};

/** What stands before the target, and the verb at the end. */
const deDoes: Record<Action, (target: string, what: string) => string> = {
  control: (target) => `${target} steuern`,
  switch: (target) => `${target} schalten`,
  settings: (target) => `Einstellungen ändern: ${target}`,
  change: (target, what) => {
    const path = pathOf(what);
    return path === undefined ? `Werte ändern: ${target}` : `„${path}“ ändern: ${target}`;
  },
  watch: (target) => `zusehen oder mithören: ${target}`,
  read: (target, what) => {
    const path = pathOf(what);
    return path === undefined ? `Daten lesen: ${target}` : `„${path}“ lesen: ${target}`;
  },
  send: (target) => `Daten an ${target} senden`,
  message: (target) => `eine Nachricht an ${target} senden`,
  listen: (target) => `Nachrichten bei ${target} mithören`,
  sign_in: (target, what) => `sich bei ${target} als „${quoted(what.replace(SIGN_IN, ''))}“ anmelden`,
  connect: (target) => `sich mit ${target} verbinden`,
  speak: (target, what) => {
    const protocol = protocolOf(what);
    return protocol === undefined ? `mit ${target} eine unbekannte Sprache sprechen` : `mit ${target} ${protocol} sprechen`;
  },
  ask_for: (target, what) => {
    const name = serverOf(what);
    return name === ''
      ? `sich mit ${target} verbinden, ohne zu sagen, zu wem`
      : `sich mit ${target} verbinden und „${name}“ verlangen`;
  },
  talk: (target) => `mit ${target} sprechen`,
  ping: (target) => `prüfen, ob ${target} da ist`,
  frames: (target) => `besondere Netzwerk-Nachrichten an ${target} senden`,
  update: (target) => `die Software von ${target} ersetzen`,
  scan: () => 'nach anderen Geräten in Ihrem Zuhause suchen',
  resolve: (target, what) => `„${quoted(what)}“ bei ${target} nachschlagen`,
  delete: (target) => `Daten bei ${target} löschen`,
  copy: (target) => `seine Daten nach ${target} kopieren`,
};

const deCause = (cause: Cause): string => {
  switch (cause.code) {
    case 'source_quarantined':
      return 'Das Gerät, das es versucht hat, ist abgetrennt.';
    case 'destination_quarantined':
      return 'Das Gerät, das es erreichen möchte, ist abgetrennt.';
    case 'banned':
      return 'Eines von beiden ist für einige Zeit ausgesperrt.';
    case 'denied':
      return 'Jemand hat es blockiert.';
    case 'allowed':
      return 'Jemand hat es erlaubt.';
    case 'source_new':
      return 'Niemand hat bisher gesagt, ob dieses Gerät hierher gehört.';
    case 'guest_outside':
      return 'Ein Gast darf ins Internet.';
    case 'guest_inside':
      return 'Ein Gast darf ins Internet und sonst nirgendwohin.';
    case 'learned':
      return 'Es ist eine Gewohnheit.';
    case 'learns':
      return 'Das Gerät lernt noch, also wird es zur Gewohnheit.';
    case 'box_learns':
      return 'Diese Box spricht mit einem Gerät, das noch lernt.';
    case 'not_in_model':
      return 'Es ist weder eine Gewohnheit noch von jemandem erlaubt.';
    case 'guarded':
      return 'Danach wird gefragt, auch während das Gerät lernt.';
    case 'other_edge':
      return `Eine andere Verbindung (Nummer ${cause.edge}) entscheidet; sie ist genauer oder strenger.`;
    case 'no_connection':
      return `Es läuft in einer Verbindung zu ${quoted(cause.port)}, die noch nicht erlaubt ist. Vorher kommt nichts durch.`;
    case 'may_not_speak':
      return `Verbindungen zu ${quoted(cause.port)} dürfen noch nicht ${quoted(cause.protocol)} sprechen. Vorher kommt nichts durch.`;
    case 'neutralised':
      return 'Wo das möglich ist, wird es unschädlich gemacht statt abgebrochen.';
    case 'not_retained':
      return 'Die Zentrale darf es nicht aufbewahren.';
    case 'qos_at_most':
      return `Seine Dienstgüte (QoS) ist höchstens ${cause.qos}.`;
    case 'monitor':
      return 'Im Moment wird nichts blockiert; die Box beobachtet nur.';
    default:
      return assertNever(cause);
  }
};

const deVerdict = (verdict: string): string => {
  switch (verdict) {
    case 'FORWARDED':
      return 'Zuletzt kam es durch';
    case 'DROPPED':
      return 'Zuletzt wurde es gestoppt';
    case 'RESET':
      return 'Zuletzt wurde es abgelehnt und die Verbindung beendet';
    case 'NEUTRALISED':
      return 'Zuletzt wurde es unschädlich gemacht';
    case 'AUDIT':
      return 'Zuletzt kam es durch, weil im Moment nichts blockiert wird';
    default:
      return `Zuletzt: ${quoted(verdict)}`;
  }
};

const deFact = (fact: Fact, who: (end: End) => string): string | undefined => {
  switch (fact.code) {
    case 'rate': {
      const held = fact.dropped === 1 ? '1 Paket wurde zurückgehalten' : `${fact.dropped.toLocaleString('de')} Pakete wurden zurückgehalten`;
      return `Mehr als ${bytes('de', fact.seen)} in der Sekunde, üblich sind höchstens ${bytes('de', fact.usual)}; ${held}.`;
    }
    case 'size':
      return `${bytes('de', fact.seen)} in einer Stunde, üblich sind höchstens ${bytes('de', fact.usual)}.`;
    case 'hour': {
      const usual = runs(fact.usual).map(([from, until]) => `zwischen ${from} und ${until} Uhr`);
      const seen = `Um ${hourHere(fact.seen)}:00 Uhr`;
      return usual.length === 0 ? `${seen}.` : `${seen}; üblich ist es nur ${usual.join(' und ')}.`;
    }
    case 'period':
      return `Üblicherweise kommt es wieder nach: ${deDuration(fact.seconds)}.`;
    case 'verdict':
      return `${deVerdict(fact.verdict)} (${quoted(fact.reason)}).`;
    case 'client_taken':
      return 'Der Name, mit dem es sich anmeldet, gehört einem anderen Gerät.';
    case 'subscribed':
      return `${capital(who(fact.who))} möchte davon erfahren.`;
    case 'encrypted':
      return fact.yes ? 'Es ist verschlüsselt; vom Inhalt ist nichts bekannt.' : 'Es ist nicht verschlüsselt; andere im Netz könnten es lesen.';
    case 'held_since':
      return `Nur Gewohntes kommt durch seit ${dayTime('de', fact.at)}.`;
    case 'meanwhile':
      return `Um ${timeOf('de', fact.at)} Uhr erreichte ${who(fact.who)}: ${who(fact.target)}.`;
    case 'tries':
    case 'times':
    case 'whereabouts':
      return undefined;
    default:
      return assertNever(fact);
  }
};

/** What is unusual, by its measure. */
const deUnusual = (code: 'rate.exceeded' | 'size.exceeded' | 'time.unusual', flag: Edge['flag']): string => {
  const measured = flag?.measured;
  switch (measured?.code) {
    case 'rate':
      return `Viel mehr als sonst: über ${bytes('de', measured.seen)} in der Sekunde statt höchstens ${bytes('de', measured.usual)}. Was zu viel ist, wird zurückgehalten.`;
    case 'size':
      return `Übertrug ${bytes('de', measured.seen)} in einer Stunde; sonst höchstens ${bytes('de', measured.usual)}.`;
    case 'hour': {
      const usual = runs(measured.usual).map(([from, until]) => `zwischen ${from} und ${until} Uhr`);
      const only = usual.length === 0 ? '' : ` Sonst nur ${usual.join(' und ')}.`;
      return `Um ${timeOf('de', flag?.last)} Uhr.${only}`;
    }
    default:
      return {
        'rate.exceeded': 'Es sendet viel mehr als sonst. Was zu viel ist, wird zurückgehalten.',
        'size.exceeded': 'Es sendet auf einmal viel mehr als sonst.',
        'time.unusual': 'Das tut es zu einer Stunde, zu der es das sonst nicht tut.',
      }[code];
  }
};

const deFault = (fault: Fault, since: string): string => {
  switch (fault.code) {
    case 'not_attached':
      return `Der Schutz läuft seit ${since} nicht: Die Box konnte eine ihrer Schnittstellen nicht bewachen, und dort kommt nichts durch. Starten Sie die Box neu; „edgeward doctor“ auf ihr sagt mehr.`;
    case 'guard_missing':
      return `Der Schutz ist seit ${since} nicht vollständig: Es fehlt, was hält, während Edgeward geladen wird. Starten Sie die Box neu; „edgeward doctor“ auf ihr sagt mehr.`;
    case 'interface_gone':
      return `Die Schnittstelle „${quoted(fault.interface)}“ fehlt seit ${since}; dort kommt nichts durch. Ist sie eingesteckt?`;
    case 'state_damaged':
      return `Was die Box gespeichert hatte, war um ${since} beschädigt; sie lernt alles neu. Wer eine Kopie davon hat, kann sie zurücklegen.`;
    case 'table_full':
      return `Die Box hat seit ${since} kaum noch Platz (${quoted(fault.table)}). Entfernen Sie Geräte und Verbindungen, die nicht mehr gebraucht werden.`;
    default:
      return assertNever(fault);
  }
};

const deAlarm = (code: string): string => {
  switch (code) {
    case 'scan':
      return 'griff nach ungewöhnlich vielen anderen';
    case 'bruteforce':
      return 'versuchte ein falsches Passwort nach dem anderen';
    case 'slowite':
      return 'hielt Verbindungen offen, ohne sie zu nutzen';
    case 'flood':
      return 'sandte viel mehr Nachrichten als sonst';
    case 'malformed':
      return 'sandte kaputte Nachrichten';
    case 'spoof.mac':
      return 'war an einem anderen Anschluss zu sehen; etwas anderes gibt sich vielleicht dafür aus';
    case 'name.alike':
      return 'nennt sich wie ein anderes Gerät';
    case 'client.taken':
      return 'zeigt einen Namen, der einem anderen Gerät gehört';
    case 'overflow':
      return 'versuchte so viel, dass nicht alles aufgezeichnet wurde';
    case 'rules.too_complex':
      return 'eine Entscheidung über Nachrichten passt nicht in die Box; was vorher galt, gilt weiter';
    default:
      return `etwas Ungewöhnliches geschah, ${quoted(code)}`;
  }
};

const deProblems: Record<ProblemCode, string> = {
  not_found: 'Das gibt es nicht mehr.',
  conflict: 'Es hat sich inzwischen geändert. Bitte sehen Sie noch einmal hin.',
  invalid: 'Die Box hat das nicht verstanden. Bitte laden Sie die Seite neu und versuchen Sie es noch einmal.',
  forbidden: 'Das dürfen Sie nicht. Fragen Sie den Eigentümer.',
  ask_owner: 'Das darf nur ein Eigentümer.',
  pin_needed: 'Dafür wird die PIN des Haushalts gebraucht.',
  pin_wrong: 'Diese PIN stimmt nicht.',
  pin_format: 'Eine PIN hat 4 bis 12 Ziffern.',
  password_wrong: 'Dieser Name oder dieses Passwort stimmt nicht.',
  password_format: 'Ein Passwort hat 10 bis 128 Zeichen.',
  name_missing: 'Es fehlt ein Name.',
  name_taken: 'Diesen Namen gibt es schon. Bitte wählen Sie einen anderen.',
  name_reserved: 'Dieser Name bedeutet schon etwas anderes. Bitte wählen Sie einen anderen.',
  server_format: 'Schreiben Sie den Server als https://NAME, ohne etwas dahinter.',
  broker_format: 'Schreiben Sie den Broker als Adresse oder Namen, mit seinem Port.',
  broker_unreachable: 'Dort antwortet kein Broker. Stimmen Adresse und Port, und ist er eingeschaltet?',
  broker_refused: 'Der Broker nimmt diesen Benutzernamen und dieses Passwort nicht an.',
  kind_unknown: 'Diese Art von Gerät kennt die Box nicht.',
  mode_unknown: 'Das lässt sich für dieses Gerät nicht wählen.',
  lifetime_missing: 'Bitte sagen Sie, wie lange es erlaubt ist.',
  duration_range: 'Diese Zeit ist zu kurz oder zu lang.',
  date_passed: 'Dieses Datum ist schon vorbei.',
  gone: 'Das ist zu Ende. Bitte sehen Sie noch einmal hin.',
  too_many: 'Zu viel auf einmal. Bitte warten Sie einen Moment.',
  unauthenticated: 'Dieses Telefon ist nicht mehr verbunden.',
  unavailable: 'Edgeward läuft nicht. Was blockiert ist, bleibt blockiert.',
  host: 'Die Seite wurde unter einem Namen geöffnet, der nicht der der Box ist. Öffnen Sie sie mit der Adresse der Box.',
  origin: 'Das kam von einer anderen Website und wurde abgelehnt.',
  timeout: 'Es hat zu lange gedauert. Wir wissen nicht, ob es gespeichert wurde; bitte sehen Sie noch einmal hin.',
  undelivered: 'Der Server hat die Nachricht nicht angenommen. Stimmt seine Adresse, und ist die Box online?',
  in_progress: 'Das wird gerade schon erledigt. Bitte warten Sie einen Moment.',
  internal: 'Das hat nicht geklappt. Bitte noch einmal versuchen.',
};

export const de: Words = {
  lang: 'de',
  title: 'Heim-Firewall',
  nav: { decide: 'Entscheiden', map: 'Karte', devices: 'Geräte', history: 'Verlauf' },
  state: { learned: 'Erlaubt', allowed: 'Erlaubt', denied: 'Blockiert', pending: 'Wartet auf Sie' },
  risk: { high: 'Hohes Risiko', medium: 'Mittleres Risiko', low: 'Geringes Risiko' },
  consequence: {
    unlock: 'Könnte Ihre Tür öffnen',
    alarm: 'Könnte Ihren Alarm ausschalten',
    gas: 'Könnte Gas oder Feuer steuern',
    watch: 'Könnte Ihr Zuhause beobachten',
    software: 'Könnte die Software ersetzen',
    leaves_home: 'Daten verlassen Ihr Zuhause',
    important: 'Könnte Schaden anrichten',
    new_path: 'Ein neuer Weg zwischen Geräten',
    small: 'Eine kleine Änderung',
  },
  who: deWho,
  whom: deWho,
  does: (action) => deDoes[action],
  sentence: ({ source, action, target, via }, what) => {
    const through = via === undefined ? '' : `, über ${deWho(via)}`;
    return `${capital(deWho(source))} möchte ${deDoes[action](deWho(target), what)}${through}`;
  },
  kinds: {
    unknown: ['Nicht bekannt', 'Unbekannte Geräte'],
    lock: ['Schloss oder Tür', 'Schlösser'],
    alarm: ['Alarm', 'Alarme'],
    camera: ['Kamera', 'Kameras'],
    gas: ['Gas, Herd oder Heizkessel', 'Herde und Heizkessel'],
    medical: ['Medizinisches Gerät', 'Medizinische Geräte'],
    heating: ['Heizung', 'Heizungen'],
    light: ['Licht', 'Lampen'],
    plug: ['Steckdose oder Schalter', 'Steckdosen'],
    blind: ['Rollladen oder Fenster', 'Rollläden'],
    fan: ['Lüfter oder Klimaanlage', 'Lüfter'],
    sensor: ['Sensor', 'Sensoren'],
    meter: ['Zähler', 'Zähler'],
    battery: ['Batterie', 'Batterien'],
    inverter: ['Wechselrichter', 'Wechselrichter'],
    charger: ['Ladegerät', 'Ladegeräte'],
    washing_machine: ['Waschmaschine', 'Waschmaschinen'],
    fridge: ['Kühlschrank', 'Kühlschränke'],
    coffee_machine: ['Kaffeemaschine', 'Kaffeemaschinen'],
    vacuum: ['Saugroboter', 'Saugroboter'],
    watering: ['Bewässerung', 'Bewässerungen'],
    speaker: ['Lautsprecher', 'Lautsprecher'],
    media: ['Fernseher oder Medien', 'Fernseher'],
    toy: ['Spielzeug', 'Spielzeuge'],
    hub: ['Zentrale', 'Zentralen'],
    router: ['Router', 'Router'],
    storage: ['Speicher', 'Speicher'],
    computer: ['Computer', 'Computer'],
    phone: ['Telefon oder Tablet', 'Telefone'],
    printer: ['Drucker', 'Drucker'],
    controller: ['Steuerung', 'Steuerungen'],
    machine: ['Maschine', 'Maschinen'],
    other: ['Etwas anderes', 'Solche Geräte'],
  },
  violated: (code, edge) => {
    switch (code) {
      case 'op.not_in_model':
        return 'Das hat es noch nie getan.';
      case 'edge.not_in_model':
        return 'Diese beiden haben noch nie miteinander gesprochen.';
      case 'class.forbidden':
        return 'Bei solchen Geräten wird bei allem Neuen gefragt.';
      case 'dest.new':
        return `Ein Server, den es noch nie benutzt hat: ${quoted(edge.to.name)}.`;
      case 'principal.new':
        return 'Dieses Gerät ist neu hier.';
      case 'guest.inside':
        return 'Ein Gast darf nur ins Internet.';
      case 'quarantine':
        return 'Es ist abgetrennt.';
      case 'protocol':
        return 'Diese Verbindung ist bekannt, aber nicht, dass sie so spricht.';
      case 'mud.declared':
        return 'Der Hersteller sagt, dass es das braucht. Erlaubt hat es noch niemand.';
      case 'client.taken':
        return 'Es meldet sich mit einem Namen an, der einem anderen Gerät gehört.';
      case 'name.mismatch':
        return 'Es nennt einen Server, aber die Adresse wurde nie für diesen Namen vergeben.';
      case 'enc.missing':
        return 'Das war hier verschlüsselt und ist es nicht mehr.';
      case 'rate.exceeded':
      case 'size.exceeded':
      case 'time.unusual':
        return deUnusual(code, edge.flag);
      default:
        return 'Das gehört nicht zu seinen Gewohnheiten.';
    }
  },
  unknownTarget: 'Niemand hat bisher gesagt, was für ein Gerät das ist; deshalb wird bei allem Neuen gefragt.',
  classSentence: (kind, target) => {
    const plural = kindText(de, kind)?.[1];
    if (plural === undefined || kind === 'unknown' || kind === 'other') return undefined;
    switch (target) {
      case 'lock':
        return `${plural} steuern normalerweise keine Schlösser.`;
      case 'alarm':
        return `${plural} steuern normalerweise keine Alarme.`;
      case 'camera':
        return `${plural} benutzen normalerweise keine Kameras.`;
      case 'gas':
        return `${plural} steuern normalerweise weder Gas noch Feuer.`;
      default:
        return undefined;
    }
  },
  facts: (tries, blocked, first) => {
    const count = tries === 1 ? '1 Versuch' : `${tries.toLocaleString('de')} Versuche`;
    return `${count} · ${blocked ? 'vorerst blockiert' : 'nicht blockiert, nur beobachtet'} · zuerst ${first}`;
  },
  goesOn: (since) => `läuft einstweilen weiter · seit ${since}`,
  things: (count) => (count === 1 ? '1 Sache wartet auf Ihre Entscheidung' : `${count} Dinge warten auf Ihre Entscheidung`),
  many: (questions, devices, important) => {
    const from = devices === 1 ? '1 Gerät' : `${devices} Geräten`;
    const rest = important === 0 ? 'Keine ist wichtig' : important === 1 ? '1 ist wichtig' : `${important} sind wichtig`;
    return `${questions} Fragen von ${from}. ${rest}`;
  },
  group: {
    title: (source, count, outside) => `${capital(source)} möchte ${count} ${outside ? 'Server' : 'andere Geräte'} erreichen`,
    text: 'Es hat innerhalb eines Tages nach allen gefragt. Nehmen Sie heraus, was Sie einzeln entscheiden möchten.',
    which: 'Was es erreichen möchte',
    block: (count) => `${count} blockieren`,
    keepBlocked: (count) => `${count} blockiert lassen`,
    allow: (count) => `${count} erlauben…`,
    partly: (done, failed, why) => `${done === 0 ? '' : `${done} gespeichert. `}${failed} nicht gespeichert. ${why}`,
    scope: (source, count) => `Nur ${source}, und nur ${count === 1 ? 'dieses eine Ziel' : `diese ${count} Ziele`}.`,
  },
  mayNot: { look: 'Dieses Telefon sieht nur zu.', change: 'Das darf nur ein Eigentümer ändern.' },
  offer: {
    title: (source, domain) => `${capital(source)}: alle Server von ${domain} erlauben?`,
    text: (hosts) => `Sie haben ${hosts} davon einzeln erlaubt.`,
    opens: (source, domain, operation) =>
      `${capital(source)} könnte dann immer jeden Server von ${domain} erreichen, auch neue, aber nur mit ${operation}.`,
    no: 'Nein, jedes Mal fragen',
  },
  cause: {
    update: (device, at, devices) =>
      `Nach dem Update von ${device} (${at}) ${devices === 1 ? 'hat 1 Gerät' : `haben ${devices} Geräte`} etwas Neues versucht`,
    hour: (from, devices) => `Innerhalb einer Stunde (ab ${from}) haben ${devices} Geräte etwas Neues versucht`,
    text: 'Das kam zusammen; ob es zusammengehört, ist nicht bekannt. Nichts davon hat ein hohes Risiko.',
  },
  mode: {
    new: 'Neu hier',
    learning: 'Lernt',
    ready: 'Bereit',
    enforcing: 'Geschützt',
    guest: 'Gast',
    quarantine: 'Abgetrennt',
    outside: 'Internet',
    system: 'Teil der Box',
  },
  modeMeans: {
    new: 'Es darf nur dem Netz beitreten, bis Sie sagen, was es ist.',
    learning: 'Noch nicht geschützt: Was es tut, wird seine Gewohnheit.',
    ready: 'Seine Gewohnheiten sind bekannt; der Schutz beginnt bald.',
    enforcing: 'Nur seine Gewohnheiten und was Sie erlaubt haben kommen durch.',
    guest: 'Es darf ins Internet und nichts in Ihrem Zuhause erreichen.',
    quarantine: 'Nichts kommt von ihm oder zu ihm durch.',
    outside: 'Ein Server im Internet.',
    system: 'Edgeward selbst.',
  },
  learning: (learning, now) => {
    const days = learningDays(learning, now);
    const habits = learning.habits === 1 ? '1 Gewohnheit' : `${learning.habits} Gewohnheiten`;
    if (days !== undefined) return `Tag ${days.day}, mindestens ${days.least} · ${habits} gelernt`;
    return learning.at_least_seconds > 0
      ? `Noch mindestens ${deDuration(learning.at_least_seconds)} · ${habits} gelernt`
      : `${habits} gelernt`;
  },
  status: {
    protecting: (devices) => (devices === 1 ? 'Schützt 1 Gerät' : `Schützt ${devices} Geräte`),
    learning: (ready, all) => `Lernt. Schützt noch nicht (${ready} von ${all} bereit)`,
    watching: 'Beobachtet nur. Nichts wird blockiert',
    paused: (until) => `Pause bis ${until}. Nichts wird blockiert`,
    fault: 'Der Schutz ist gestört',
    away: 'Edgeward läuft nicht',
    starting: 'Verbinde…',
    noPart: 'Dieser Teil der Seite konnte nicht geladen werden. Ist die Box erreichbar?',
    reached: (at) => `Zuletzt erreicht ${at}`,
    noDevices: 'Noch keine Geräte',
    none: 'Noch ist kein Gerät geschützt',
    cutOff: (devices) => `${devices} abgetrennt`,
    learners: (devices) => (devices === 1 ? '1 lernt' : `${devices} lernen`),
    mode: { enforce: 'Blockiert', monitor: 'Beobachtet nur' },
    live: 'Live',
    lost: 'Verbindet neu…',
  },
  card: {
    keepBlocked: 'Blockiert lassen',
    block: 'Blockieren',
    whyAsked: 'Warum werde ich gefragt?',
    allow: 'Erlauben…',
    later: 'Später entscheiden',
    why: 'Warum wurde das gestoppt?',
    hide: 'Ausblenden',
    applying: 'Wird angewendet…',
    failed: (blocked) => (blocked ? 'Nicht gespeichert. Es ist weiterhin blockiert.' : 'Nicht gespeichert.'),
    unsure: 'Wir wissen nicht, ob es gespeichert wurde.',
    sentAgain: 'Es wird noch einmal gesendet, sobald die Box antwortet.',
    retry: 'Noch einmal versuchen',
    changed: 'Das hat sich inzwischen geändert. Bitte sehen Sie noch einmal hin.',
    gone: 'Nicht mehr nötig',
    settled: (by, answer, at) => {
      const did = answer === 'allow' ? 'erlaubt' : 'blockiert';
      return by === undefined ? `Bereits um ${at} ${did}` : `${by} hat das bereits um ${at} ${did}`;
    },
    remove: 'Entfernen',
    show: 'Ändern',
    laterGroup: (count, blocked) => `${count} aufgeschoben${blocked ? ', weiterhin blockiert' : ''}`,
    askOwner: 'Eigentümer fragen',
    asked: (blocked) => (blocked ? 'Gefragt. Es bleibt blockiert, bis ein Eigentümer entscheidet.' : 'Ein Eigentümer ist gefragt.'),
    wishedBy: (name) => `${name} bittet Sie, das zu entscheiden.`,
    answered: (by, at) => `${by ?? 'Jemand'} hat das bereits${at === undefined ? '' : ` um ${at}`} beantwortet`,
    ownersAllow: 'Das darf nur ein Eigentümer erlauben: Das Risiko ist hoch.',
    asksAgain: (blocked) => `${blocked ? 'Es bleibt blockiert. ' : ''}Nach einem Tag werden Sie wieder gefragt.`,
    showAll: (count) => `Alle ${count} zeigen`,
    showImportant: 'Nur Wichtiges zeigen',
    whichOne: 'Die letzten Antworten kamen sehr schnell. Worum geht es hier?',
    notThatOne: 'Darum geht es nicht. Es steht im Satz oben.',
  },
  pinSheet: {
    title: 'PIN des Haushalts',
    text: 'Danach wäre etwas Gefährliches leichter möglich. Ihre PIN zeigt, dass Sie es sind.',
    wrong: 'Diese PIN stimmt nicht.',
    submit: 'Weiter',
  },
  sheet: {
    title: 'Wie lange erlauben?',
    once: 'Nur einmal',
    onceHint: 'Der nächste Versuch innerhalb von 10 Minuten; dann wird wieder gefragt.',
    hour: '1 Stunde',
    hourHint: 'Dann ist es wieder blockiert und fragt beim nächsten Versuch.',
    always: 'Immer',
    alwaysHint: 'Bis Sie es im Verlauf ändern.',
    scope: (from, to, what) => `Nur ${from} → ${to}, nur ${what}.`,
    sure: (source, consequence, target) => {
      switch (consequence) {
        case 'unlock':
          return `${capital(source)} könnte dann ${target} jederzeit öffnen.`;
        case 'alarm':
          return `${capital(source)} könnte dann ${target} jederzeit ausschalten.`;
        case 'watch':
          return `${capital(source)} könnte dann ${target} jederzeit benutzen.`;
        case 'gas':
          return `${capital(source)} könnte dann ${target} jederzeit steuern.`;
        case 'important':
        case 'software':
          return `${capital(source)} könnte das dann jederzeit tun: ${target}.`;
        case 'leaves_home':
        case 'new_path':
        case 'small':
          return `${capital(source)} könnte das dann jederzeit tun.`;
        default:
          return assertNever(consequence);
      }
    },
    sureTitle: 'Wirklich immer?',
    yesAlways: 'Ja, immer erlauben',
    pin: 'PIN des Haushalts',
    cancel: 'Abbrechen',
  },
  evidence: {
    action: 'Was es versucht hat',
    because: 'Warum es gestoppt wurde',
    from: 'Von',
    to: 'An',
    receivers: 'Wer es bekommen würde',
    usually: 'Was es sonst tut',
    seen: 'Was zu sehen war',
    before: 'Früher entschieden',
    similar: 'Ähnliche Entscheidungen',
    times: 'Wann',
    loading: 'Wird nachgesehen…',
    packet: 'Das erste Paket, sein Inhalt verdeckt',
    cause: deCause,
    fact: deFact,
    port: (port) => `am Anschluss ${port}`,
  },
  done: {
    blocked: 'Blockiert',
    allowed: (lifetime) => `Erlaubt: ${lifetime}`,
    many: (answer, count) => `${answer === 'allow' ? 'Erlaubt' : 'Blockiert'}: ${count} Verbindungen`,
    undone: 'Rückgängig gemacht. Dadurch geöffnete Verbindungen sind beendet.',
    undo: 'Rückgängig',
    close: 'Schließen',
  },
  lifetime: (lifetime) => {
    if (lifetime === 'once') return 'nur einmal';
    if (lifetime === 'always') return 'immer';
    if (lifetime === 'until_restart') return 'bis die Box neu startet';
    if ('uses' in lifetime) return `${lifetime.uses} Mal`;
    if ('for' in lifetime) return `für ${deDuration(lifetime.for)}`;
    return 'bis zu einem Datum';
  },
  term: (term) => {
    const [, qos] = /^QoS at most (\d)$/.exec(term) ?? [];
    if (qos !== undefined) return `QoS höchstens ${qos}`;
    if (term === 'not retained') return 'nicht aufbewahrt';
    return term === 'neutralised' ? 'unschädlich gemacht statt getrennt' : term;
  },
  quiet: { title: 'Alles ruhig. Neues bleibt blockiert, bis Sie entscheiden.', last: 'Letzte Entscheidung' },
  map: {
    title: 'Wer spricht mit wem',
    choose: 'Verbindungen zeigen von',
    may: 'Es darf',
    isReached: 'Andere dürfen',
    waiting: 'Wartet auf Sie',
    blocked: 'Blockiert',
    none: 'Hier ist nichts.',
    all: 'Alle',
    since: 'Seit wann',
    everything: 'Alt und neu',
    newSinceYesterday: 'Neu seit gestern',
    newThisWeek: 'Neu in 7 Tagen',
    needsYou: 'Wartet auf Sie',
    connections: 'Verbindungen',
    columns: { state: 'Zustand', from: 'Von', to: 'An', does: 'Tut', times: 'Mal', last: 'Zuletzt', rule: 'Regel' },
    habit: 'Gewohnheit',
    until: (at) => `bis ${at}`,
    internet: 'Internet',
    place: ({ is, name }) => {
      if (is === 'internet') return 'Internet';
      return is === 'elsewhere' ? 'Noch kein Raum' : is === 'maker' ? quoted(name) : name;
    },
    several: (place, count) => {
      const [one, many] = place.is === 'internet' ? ['Server', 'Server'] : ['Gerät', 'Geräte'];
      return `${de.map.place(place)}: ${count} ${count === 1 ? one : many}`;
    },
    count: (connections) => (connections === 1 ? '1 Verbindung' : `${connections} Verbindungen`),
    showMore: (rows) => `Mehr zeigen (${rows.toLocaleString('de')})`,
    whole: 'Ganze Karte zeigen',
    oneDevice: 'Ein Gerät zeigen',
    turn: 'Drehen Sie das Telefon, um alles zu sehen.',
    temporary: 'Für eine Zeit erlaubt',
    learning: 'Lernt noch',
    legend: 'Was die Linien bedeuten',
    search: 'Geräte und Verbindungen suchen',
    searchShort: 'Suchen',
    nothingSelected: 'Wählen Sie eine Frage, ein Gerät oder eine Verbindung, um zu sehen, was darüber bekannt ist.',
    more: (hidden) => `${hidden} weitere in der Tabelle`,
    pair: (from, to) => `${from} an ${to}`,
  },
  devices: {
    title: 'Geräte',
    empty: 'Ich sehe noch keine Geräte. Ist die Box zwischen Router und WLAN angeschlossen?',
    callsItself: (name) => `nennt sich „${name}“`,
    sameName: (name) => `Vorsicht: Ein anderes Gerät heißt schon „${name}“.`,
    name: 'Name',
    room: 'Raum',
    kind: 'Was ist es?',
    save: 'Speichern',
    saved: 'Gespeichert',
    edit: 'Name und Raum',
    guessed: 'vermutet, bitte bestätigen',
    firstSeen: 'Zuerst gesehen',
    lastSeen: 'Zuletzt gesehen',
    address: 'Adresse',
    habits: (count) => (count === 1 ? '1 Gewohnheit' : `${count} Gewohnheiten`),
    newTitle: 'Neues Gerät',
    newText: 'Es darf nur dem Netz beitreten, bis Sie entscheiden.',
    ours: 'Es ist unseres, lerne es kennen',
    guest: 'Gast: nur Internet',
    keepOut: 'Nicht hereinlassen',
    finish: 'Jetzt schützen',
    relearn: 'Neu lernen',
    update: 'Es bekommt ein Update: 30 Minuten lernen',
    updateHint: 'Was es in dieser Zeit tut, wird seine Gewohnheit.',
    quarantine: 'Abtrennen',
    release: 'Wieder zulassen',
    pause: '15 Minuten nicht blockieren',
    paused: (until) => `Nicht blockiert bis ${until}`,
    showMap: 'Verbindungen zeigen',
    stillLearning: (name) => `Lernt noch: ${name}`,
    enforcesAt: (at) => `Geschützt ab ${at}`,
    lookFirst: 'Erst ansehen',
    waitAWeek: 'Eine Woche warten',
    capped: 'Es wollte ungewöhnlich viele andere erreichen, deshalb wurde das Lernen beendet.',
    protection: 'Schutz',
    protectNow: 'Jetzt blockieren',
    stopProtecting: 'Nur beobachten',
    protectHint: 'Zurzeit kommt alles durch und wird nur aufgezeichnet.',
    protectOn: 'Was weder Gewohnheit noch von Ihnen erlaubt ist, wird blockiert.',
  },
  trouble: {
    title: 'Etwas geht nicht',
    open: 'Etwas geht nicht?',
    which: 'Welches Gerät geht nicht?',
    look: 'Was wurde zuletzt blockiert?',
    again: 'Noch einmal nachsehen',
    none: (minutes) => `In den letzten ${minutes} Minuten wurde bei diesem Gerät nichts blockiert.`,
    noneHint: 'Benutzen Sie das Gerät noch einmal und sehen Sie dann nach. Ist wieder nichts blockiert, liegt es nicht an der Firewall.',
    blocked: (minutes) => `Das wurde in den letzten ${minutes} Minuten blockiert:`,
    seen: (count, last) => `${count.toLocaleString('de')}× · zuletzt ${last}`,
    tryIt: 'Für 1 Stunde erlauben und ausprobieren',
    tryNow: 'Für 1 Stunde erlaubt. Benutzen Sie das Gerät jetzt.',
    keepIt: 'Geht es? Behalten?',
    keep: 'Ja, behalten',
    noHelp: 'Nein, wieder blockieren',
    kept: 'Behalten. Unter Verlauf können Sie es ändern.',
    pause: '15 Minuten nicht blockieren',
    pauseHint: 'Wenn Sie es nicht finden: 15 Minuten lang wird bei diesem Gerät nichts blockiert. Was blockiert worden wäre, steht dann hier.',
    paused: (until) => `Bei diesem Gerät wird bis ${until} nichts blockiert. Benutzen Sie es jetzt und sehen Sie dann nach.`,
    notAsked: 'Darüber wird nicht einzeln entschieden; es hängt davon ab, wie das Gerät behandelt wird.',
  },
  history: {
    title: 'Verlauf',
    empty: 'Es wurde noch nichts entschieden.',
    undo: 'Rückgängig',
    undone: 'Rückgängig gemacht',
    change: 'Ändern',
    entry: (decision, from, to, does) => {
      switch (decision.what) {
        case 'allow':
          return `Erlaubt: ${from} darf ${does}`;
        case 'deny':
          return `Blockiert: ${from} darf nicht ${does}`;
        case 'undo':
          return from === '' ? 'Rückgängig' : `Rückgängig: ${from} → ${to}`;
        case 'mode':
          return from === '' ? siteModeText(decision.detail, ['Blockieren begonnen', 'Nur Beobachtung', 'Blockieren bestätigt', 'Neuer Ort geprüft']) : `${from}: ${modeText(de, decision.detail)}`;
        case 'pause':
          return from === '' ? 'Blockieren unterbrochen' : `Blockieren unterbrochen für ${from}`;
        case 'learn':
          return from === '' ? 'Lernen geändert' : `${from}: ${modeText(de, decision.detail)}`;
        case 'principal':
          return `Geändert: ${from}`;
        case 'remove':
          return `Vergessen: ${from} → ${to}`;
        case 'import':
          return 'Modell eingelesen';
        case 'ban':
          return `Gesperrt: ${from}`;
        case 'lift':
          return `Sperre aufgehoben: ${from}`;
        default:
          return `${decision.what} ${from}`;
      }
    },
    by: (name, at, role) => `${name}${role ? ` (${de.people.roles[role]})` : ''} · ${at}`,
    notYours: 'Nur ein Eigentümer, oder wer das entschieden hat, kann es rückgängig machen.',
    device: 'Gerät',
    who: 'Wer entschied',
    what: 'Was',
    everyone: 'Alle',
    kinds: { allow: 'Erlaubt', deny: 'Blockiert', undo: 'Rückgängig', mode: 'Umgang mit einem Gerät' },
    none: 'So etwas wurde noch nicht entschieden.',
    more: 'Ältere zeigen',
    until: (at) => `bis ${at}`,
    unbroken: (entries) => `Die Aufzeichnung ist lückenlos: ${entries.toLocaleString('de')} Einträge, jeder folgt aus dem davor.`,
    broken: 'Die Aufzeichnung ist nicht mehr lückenlos: Jemand hat sie verändert, oder der Speicher ist beschädigt.',
  },
  bars: {
    reconnecting: (at) => `Verbinde neu… Was Sie sehen, ist von ${at}.`,
    away: (at) =>
      `Die Box ist nicht erreichbar; Ihr Telefon ist vielleicht nicht im Heimnetz. Die Box schützt weiter, und Neues bleibt blockiert. Was Sie sehen, ist von ${at}.`,
    daemonAway: (at) =>
      `Edgeward läuft seit ${at} nicht mehr. Was blockiert ist, bleibt blockiert; neue Fragen sind nicht möglich. Starten Sie es oder die Box neu.`,
    fault: deFault,
    alarm: (code, who, last) => `${listed(who, (count) => `und ${count} weitere`)}: ${deAlarm(code)} (${last}).`,
    seen: 'Gesehen',
    expires: (date) =>
      `Das Zertifikat, an dem Telefone diese Box erkennen, endet am ${date}. Entfernen Sie auf der Box authority.json aus ihrem Zustandsordner und starten Sie sie neu; installieren Sie danach das neue Zertifikat unter Menschen und Telefone.`,
    confirm: (until) => `Das Blockieren hat begonnen. Geht noch alles? Ohne Antwort endet es um ${until}.`,
    confirmYes: 'Weiter blockieren',
    moved: (since) =>
      `Seit ${since} gibt es einen anderen Router oder ein anderes Netz. Alles Gelernte gilt weiter. Sind Sie umgezogen, oder ist der Router neu?`,
    movedKeep: 'Ja, weiter wie bisher',
    movedLearn: 'Hier neu lernen',
    clock: 'Die Uhr der Box ist nicht gestellt. Zeiten können falsch sein.',
    pausedDevice: (name, until) => `${name} macht Pause: Bis ${until} wird davon nichts blockiert.`,
    newBuild: 'Die Seite wurde erneuert.',
    reload: 'Neu laden',
    monitor: 'Nur Beobachtung: Nichts wird blockiert.',
  },
  people: {
    title: 'Menschen und Telefone',
    ownersOnly: 'Nur Eigentümer sehen, wer Zugang hat.',
    phones: 'Wer Zugang hat',
    thisPhone: 'dieses hier',
    program: 'ein Programm',
    byPassword: 'mit Passwort angemeldet',
    seen: (last) => `zuletzt hier ${last}`,
    until: (at) => `bis ${at}`,
    logOut: (name) => `${name} abmelden`,
    sure: (name) => `${name} muss danach mit einem neuen Code verbunden werden.`,
    yes: 'Ja, abmelden',
    roles: { owner: 'Eigentümer', member: 'Mitglied', viewer: 'Sieht nur zu', pro: 'Fachkraft' },
    roleMeans: {
      owner: 'Darf alles.',
      member: 'Darf alles blockieren und erlauben, was kein hohes Risiko hat; sonst fragt es einen Eigentümer.',
      viewer: 'Sieht alles und ändert nichts.',
      pro: 'Darf 7 Tage lang alles, außer entscheiden, wer Zugang hat.',
    },
    another: 'Ein weiteres Telefon verbinden',
    anotherHint: 'Der Code ist für ein Telefon und gilt 10 Minuten.',
    role: 'Was darf es?',
    make: 'Code zeigen',
    scan: 'Scannen Sie das mit dem anderen Telefon.',
    onlyHere: 'Die Seite ist nur auf diesem Gerät erreichbar, also noch nicht für Telefone. Auf der Box: edgeward web --listen ADRESSE:8443, mit ihrer Adresse im Heimnetz.',
    orType: (page) => `Oder öffnen Sie dort ${page} und tippen Sie:`,
    validUntil: (at) => `Gültig bis ${at}`,
    pin: 'PIN des Haushalts',
    pinHint: 'Danach wird gefragt, bevor etwas mit hohem Risiko auf Dauer erlaubt wird.',
    pinOld: 'Die bisherige PIN',
    pinNew: 'Neue PIN, 4 bis 12 Ziffern',
    pinSet: 'PIN setzen',
    pinIsSet: 'Die PIN ist gesetzt.',
    pinRemove: 'PIN entfernen',
    pinRemoved: 'Es gibt keine PIN mehr.',
  },
  trust: {
    title: 'Dieses Telefon soll die Box erkennen',
    text: 'Bis dahin warnt der Browser bei jedem Besuch. Damit erkennt Ihr Telefon diese Box und sonst nichts.',
    which: 'Welches Telefon',
    phones: { iphone: 'iPhone', android: 'Android' },
    steps: {
      iphone: [
        'Tippen Sie auf den Knopf unten und erlauben Sie das Laden.',
        'Öffnen Sie die Einstellungen. Oben steht „Profil geladen“: Tippen Sie darauf, dann auf Installieren.',
        'Vergleichen Sie den Namen: Er enthält die vier Wörter Ihrer Box.',
        'Einstellungen → Allgemein → Info → Zertifikatsvertrauenseinstellungen: einschalten.',
      ],
      android: [
        'Tippen Sie auf den Knopf unten.',
        'Öffnen Sie die Einstellungen, suchen Sie nach „CA-Zertifikat“ und wählen Sie „Trotzdem installieren“.',
        'Wählen Sie die Datei edgeward.crt.',
        'Sehen Sie unter Vertrauenswürdige Anmeldedaten → Nutzer nach und vergleichen Sie den Namen: Er enthält die vier Wörter Ihrer Box.',
      ],
    },
    compare: 'Die vier Wörter Ihrer Box:',
    install: 'Zertifikat dieser Box',
  },
  firstRun: {
    trust: 'Die Verbindung vertrauenswürdig machen',
    trusted: 'Erledigt, weiter',
    skipForNow: 'Vorerst überspringen',
    trustSkipped:
      'Ohne das warnt der Browser bei jedem Besuch, und Sie würden nicht merken, wenn ein anderes Gerät statt der Box antwortet. Sie finden es wieder unter Menschen und Telefone.',
    devices: 'Was ist das alles?',
    devicesText: 'Was zu Schlössern, Alarmanlagen, Kameras und Gas führt, wird immer gefragt. Darum hilft es zu wissen, welche das sind.',
    what: 'Was ist das?',
    isThis: (kind) => `${kind} – stimmt das?`,
    yes: 'Ja',
    other: 'Etwas anderes…',
    dontKnow: 'Weiß nicht',
    noneLeft: 'Nichts mehr zu fragen. Alle Geräte finden Sie unter Geräte.',
    learning: 'Jetzt sehe ich zu und lerne',
    learningText: (days) => {
      const long = days === undefined ? 'einige Zeit' : days === 1 ? 'mindestens 1 Tag' : `mindestens ${days} Tage`;
      return `Ich sehe ${long} zu und lerne, was üblich ist. In dieser Zeit wird fast nichts blockiert. Bitte benutzen Sie alles einmal.`;
    },
    ready: (ready, all) => `${ready} von ${all} Geräten sind bereit oder geschützt.`,
    pinSkipped: 'Ohne PIN kann jeder, der das Telefon eines Eigentümers in der Hand hat, etwas mit hohem Risiko auf Dauer erlauben.',
    tell: 'Wie sollen Fragen Sie erreichen?',
    told: { phone: 'Auf meinem Telefon (ntfy)', home: 'Über Home Assistant' },
    neither: 'Vorerst keines davon',
    finish: 'Fertig',
  },
  settings: {
    welcome: 'Willkommen',
    welcomeText: 'Ein paar kurze Schritte, dann passt diese Box auf Ihre Geräte auf.',
    siteName: 'Wie soll dieser Ort heißen?',
    siteNameHint: 'Der Name steht oben auf dieser Seite: Zuhause, Oma, Werkstatt…',
    save: 'Speichern',
    saved: 'Gespeichert.',
    next: 'Weiter',
    skip: 'Überspringen',
    step: (step, all) => `Schritt ${step} von ${all}`,
    others: 'Wer wohnt noch hier?',
    othersText: 'Jede Person bekommt einen eigenen Code und entscheidet mit dem eigenen Telefon.',
    tell: 'Mein Telefon soll sagen, wenn etwas fragt',
    tellText: 'Die kostenlose App ntfy (iPhone, Android) zeigt, dass eine Frage wartet: höchstens dreimal am Tag, und immer, wenn sie wichtig ist.',
    privacy: (server) => `Die Box selbst spricht dann mit ${server}. Sie sagt, wie viele Fragen warten, und nichts über sie.`,
    server: 'Server',
    turnOn: 'Einschalten',
    turnOff: 'Ausschalten',
    testIt: 'Zur Probe senden',
    sending: 'Wird gesendet…',
    sent: 'Gesendet. Es sollte in wenigen Sekunden ankommen.',
    subscribe: 'Auf Ihrem Telefon',
    steps: ['Installieren Sie die App ntfy.', 'Tippen Sie auf + und geben Sie das Thema unten ein, oder öffnen Sie den Link auf dem Telefon.', 'Senden Sie zur Probe.'],
    off: 'Wenn etwas fragt, während diese Seite zu ist, erfährt es niemand.',
    offAct: 'Benachrichtigungen einschalten',
    home: 'Fragen in Home Assistant zeigen',
    homeText: 'Home Assistant findet diese Box über seinen MQTT-Broker: wie viele Fragen warten, die neueste und ein Knopf, der sie blockiert lässt. Erlauben geht nur hier.',
    broker: 'Adresse des Brokers',
    port: 'Port',
    user: 'Benutzername, falls es einen gibt',
    password: 'Passwort',
    shownAt: (broker) => `Die Box selbst spricht mit ${broker}. Wer dort schreiben darf, kann „Blockiert lassen“ drücken.`,
    brokerState: {
      connecting: 'Verbinde…',
      connected: 'Verbunden.',
      unreachable: 'Dort antwortet kein Broker.',
      refused: 'Der Broker nimmt diesen Benutzernamen und dieses Passwort nicht an.',
    },
    testBroker: 'Verbindung prüfen',
    testing: 'Prüfe…',
  },
  past: {
    title: 'Zurückblicken',
    day: 'Tag',
    hour: 'Stunde',
    now: 'Jetzt',
    today: 'Heute',
    wholeDay: 'Der ganze Tag',
    backToNow: 'Zurück zu jetzt',
    step: (when, edges, size) => `${when}: ${edges === 1 ? '1 Verbindung' : `${edges} Verbindungen`}, ${size}`,
    nothing: (when) => `${when}: nichts aufgezeichnet`,
    looking: 'Wird nachgesehen…',
    shown: (when, carrying, size) =>
      `${when}: ${carrying === 1 ? '1 Verbindung wurde benutzt und hat' : `${carrying} Verbindungen wurden benutzt und haben`} ${size} übertragen.`,
    gone: (count) => (count === 1 ? '1 davon gibt es nicht mehr.' : `${count} davon gibt es nicht mehr.`),
    incomplete: 'Ein Gerät hatte mehr Verbindungen, als aufgehoben werden; es sind nicht alle zu sehen.',
    hint: 'Dicke Linien wurden damals benutzt; Farben und Namen zeigen, was jetzt bekannt ist. Nachrichten und Anfragen zählen zu der Verbindung, über die sie gehen.',
    carried: 'Übertragen',
    size: (kilobytes) => sizeText('de', kilobytes, 'weniger als 1 kB'),
    idle: 'damals nicht benutzt',
  },
  review: {
    open: 'Gewohnheiten ansehen',
    title: (habits, name) => (habits === 1 ? `1 Gewohnheit: ${name}` : `${habits} Gewohnheiten: ${name}`),
    text: 'Das darf es, sobald es geschützt ist. Nach allem anderen wird gefragt.',
    restsOn: (days, quiet, confidence) =>
      `Gelernt an ${days === 1 ? '1 ganzen Tag' : `${days} ganzen Tagen`}; seit ${quiet} nichts Neues. Sicherheit: ${confidence}.`,
    missing: 'Noch nicht gesehen:',
    gaps: { day: 'ein ganzer Tag', weekend: 'ein Wochenende', working_day: 'ein Werktag', week: 'was einmal in der Woche geschieht' },
    jobs: {
      software: 'eine Aktualisierung seiner Software',
      print: 'ein Ausdruck',
      watch: 'jemand, der hindurchsieht',
      set: 'jemand, der es etwas tun lässt',
      play: 'etwas, das es abspielt',
    },
    group: (count, name) => (count === 1 ? `${name}: 1 Gewohnheit` : `${name}: ${count} Gewohnheiten`),
    newest: (at) => `Die neueste seit ${at}`,
    look: 'Bitte ansehen',
    why: { risk: ': Es könnte Schaden anrichten', alone: ': Kein anderes Gerät benutzt diesen Server', late: ': Es kam, als das Lernen fast vorbei war' },
    right: 'Sieht richtig aus',
    notThis: 'Das nicht',
    notThisOne: (does) => `Das nicht: ${does}`,
    seen: (groups, all) => `${groups} von ${all} sehen richtig aus`,
    protect: 'Jetzt schützen',
    none: 'Es hat noch keine Gewohnheiten.',
    update: (count) =>
      count === 1 ? 'Die letzte Aktualisierung hat 1 Gewohnheit gebracht.' : `Die letzte Aktualisierung hat ${count} Gewohnheiten gebracht.`,
  },
  guess: {
    title: 'Was es sein könnte',
    may: (kind, confidence) => `${kind} – ${confidence}`,
    because: 'Denn:',
    clue: ({ code, value }) => {
      const what = quoted(value);
      switch (code) {
        case 'offers':
          return `es bietet ${what} an`;
        case 'announces':
          return `es kündigt ${what} an`;
        case 'vendor_class':
          return `es nennt als seine Klasse „${what}“`;
        case 'name':
          return `es nennt sich „${what}“`;
        case 'mud_url':
          return `es nennt ein Profil seines Herstellers: ${what}`;
        case 'maker':
          return `seine Netzwerkkarte ist von ${what}`;
        case 'parameters':
          return 'es fragt beim Anmelden nach dem, wonach solche Geräte fragen';
        case 'serves':
          return `andere erreichen es an ${what}`;
        default:
          return `${code} ${what}`;
      }
    },
    confidence: { low: 'kaum mehr als ein Hinweis', medium: 'ziemlich sicher', high: 'sehr sicher' },
    yes: (kind) => `Ja: ${kind}`,
    hint: 'Eine Vermutung öffnet nichts. Geräte sagen das alles selbst.',
    privateMac: 'Es hat seine Hardware-Adresse erfunden, wie Telefone das tun; sein Hersteller ist daher nicht bekannt.',
    maker: (name) => `Netzwerkkarte von ${name}`,
  },
  bans: {
    title: 'Gesperrt',
    text: 'Für eine Weile kommt hiervon nichts durch.',
    who: (name, client) => (client === undefined ? `${name}: alles` : `${name}, nur als „${client}“`),
    until: (until, by) => `Bis ${until} · von ${by}`,
    why: (why) => {
      switch (why) {
        case 'bruteforce':
          return 'Zu viele falsche Passwörter.';
        case 'slowite':
          return 'Es hat Verbindungen offen gehalten, ohne sie zu benutzen.';
        case 'flood':
          return 'Es hat ein anderes Gerät überflutet.';
        case 'malformed':
          return 'Es hat kaputte Nachrichten geschickt.';
        case 'scan':
          return 'Es hat andere Geräte gesucht.';
        case '':
          return 'Niemand hat gesagt, warum.';
        default:
          return `„${quoted(why)}“`;
      }
    },
    lift: (name) => `Sperre aufheben: ${name}`,
    liftShort: 'Aufheben',
  },
  coverage: {
    pairs: (pairs, of) =>
      pairs === 0
        ? 'Alle Paare von Geräten sind abgedeckt.'
        : `Nicht abgedeckt: ${pairs} von ${of} ${of === 1 ? 'Paar' : 'Paaren'} von Geräten erreichen einander an der Firewall vorbei.`,
    unknown: 'Nicht abgedeckt: Geräte hinter demselben Switch oder WLAN-Zugang erreichen einander an der Firewall vorbei.',
    noUplink: 'Es ist kein Anschluss nach außen eingerichtet: Was von außen kommt, wird erst dort beurteilt, wo es zugestellt wird.',
    which: 'Welche',
    segment: (names, port, vlan) => `Hinter ${port}${vlan === 0 ? '' : `, VLAN ${vlan}`}: ${names}`,
  },
  exports: {
    title: 'Kopie speichern',
    decisions: 'Entscheidungen',
    connections: 'Verbindungen',
    graph: 'Karte',
    file: (what, kind) => `${what} als ${kind}`,
  },
  identity: {
    title: 'Ist es das richtige Gerät?',
    same: 'Dasselbe Gerät wie',
    choose: 'Gerät wählen…',
    merge: 'Aus beiden eines machen…',
    anew: 'Gewohnheiten vergessen und neu lernen…',
    sureSame: (name, other) => `${name} wird Teil von ${other}, mit Adressen, Gewohnheiten und Entscheidungen. Das lässt sich nicht rückgängig machen.`,
    sureAnew: (name) => `Die Gewohnheiten von ${name} werden vergessen, und bis neue gelernt sind, ist es nicht geschützt. Was Menschen entschieden haben, bleibt.`,
    yesSame: 'Ja, es ist dasselbe',
    yesAnew: 'Ja, neu lernen',
  },
  tokens: {
    title: 'Ein Programm zulassen',
    text: 'Ein Programm fragt mit einem Token statt mit einem Cookie. Es steht in der Liste oben und wird dort abgemeldet.',
    name: 'Name des Programms',
    end: 'Es endet nach',
    make: 'Token erstellen',
    once: (name) => `Das Token von ${name}. Es wird nur jetzt gezeigt:`,
    noted: 'Ich habe es aufbewahrt',
  },
  about: {
    title: 'Über Edgeward',
    learning: 'Wie lange Geräte lernen',
    lengths: (least, quiet, most) => `Mindestens ${least}, bis ${quiet} lang nichts Neues kam; höchstens ${most}.`,
    notice: (time) => `Danach vergehen ${time}, bis ein Gerät geschützt ist.`,
    where: 'Das steht in der Datei edgeward.toml auf der Box, unter [learning].',
    asked: (count) => (count === 1 ? '1 Frage in den letzten sieben Tagen' : `${count} Fragen in den letzten sieben Tagen`),
    median: (time) => `Die Hälfte der Antworten kam innerhalb von ${time}`,
  },
  pro: {
    title: 'Für Fachleute',
    notYou: 'Das ist für Eigentümer und Fachleute.',
    path: 'Datenpfad',
    balance: (seen, passed, neutralised, reset) => `${seen} Pakete gesehen: ${passed} durchgelassen, ${neutralised} unschädlich gemacht, ${reset} zurückgesetzt. Verworfen oder zurückgesetzt, nach Grund:`,
    events: (produced, lost) => `${produced} Ereignisse des Kernels, ${lost} verloren`,
    maps: 'Tabellen des Kernels',
    room: (percent) => `Alle sind zu weniger als ${percent} % gefüllt.`,
    model: 'Modell als Text',
    modelHint: 'Alle Kanten, die gelernt, erlaubt oder blockiert sind, wie „edgeward edges import“ sie nimmt.',
    show: 'Zeigen',
    save: 'Als TOML speichern',
    packets: 'Das erste Paket einer Frage können Fachleute unter „Warum wurde das blockiert?“ speichern.',
  },
  pair: {
    title: 'Dieses Telefon verbinden',
    hello: 'Hallo! Ist das Ihre Box?',
    words: (words) => `Ist das Ihre Box? ${words}`,
    wordsHint: 'Die Box zeigt dieselben vier Wörter neben dem Code. Auch das Telefon zeigt sie, als Namen dessen, der für diese Seite bürgt.',
    match: 'Ja, sie stimmen überein',
    noMatch: 'Nein, sie sind anders',
    differs: 'Dann ist das nicht Ihre Box. Machen Sie nicht weiter, und geben Sie hier keinen Code ein.',
    otherBox: 'Vorsicht: Das ist nicht die Box, deren Code Sie gescannt haben. Machen Sie nicht weiter.',
    loggedOut: (by, at) => {
      const act = [by && `von ${by}`, at].filter(Boolean).join(', ');
      return `Dieses Telefon wurde abgemeldet${act === '' ? '' : ` (${act})`}. Verbinden Sie es neu, um weiterzumachen.`;
    },
    intro: 'Nur wer Zugang zur Box hat, kann ein Telefon oder einen Browser verbinden.',
    code: 'Code von der Box',
    codeHint: 'Rufen Sie auf der Box „edgeward pair“ auf oder scannen Sie den Code, den sie zeigt.',
    name: 'Wie soll dieses Telefon heißen?',
    defaultName: 'Mein Telefon',
    submit: 'Verbinden',
    wrong: 'Dieser Code stimmt nicht. Bitte prüfen Sie ihn.',
    gone: 'Dieser Code wurde benutzt oder ist zu alt. Lassen Sie sich von der Box einen neuen geben.',
    tooMany: 'Zu viele falsche Codes. Lassen Sie sich von der Box einen neuen geben.',
    noCode: 'Geben Sie den Code ein, den die Box zeigt.',
  },
  signIn: {
    open: 'Fachkraft mit Passwort? Anmelden',
    withCode: 'Stattdessen mit einem Code verbinden',
    hint: 'Für Fachkräfte, die auf ihrem mit einem Code verbundenen Telefon ein Passwort gesetzt haben.',
    name: 'Name dieses Telefons',
    password: 'Passwort',
    submit: 'Anmelden',
    tooMany: 'Zu viele falsche Passwörter. Warten Sie zehn Minuten oder verbinden Sie sich mit einem Code.',
    title: 'Von einem Laptop aus anmelden',
    text: (name) => `Mit dem Namen „${name}“ und einem Passwort melden Sie sich auch in einem anderen Browser an, solange dieses Telefon verbunden ist. Wird es abgemeldet, endet beides.`,
    old: 'Das bisherige Passwort',
    next: 'Neues Passwort, mindestens 10 Zeichen',
    set: 'Passwort setzen',
    isSet: 'Das Passwort ist gesetzt. Wer mit dem alten angemeldet war, ist abgemeldet.',
    remove: 'Passwort entfernen',
    removed: 'Es gibt kein Passwort mehr. Wer damit angemeldet war, ist abgemeldet.',
  },
  menu: {
    people: 'Menschen und Telefone',
    open: 'Menü',
    logOut: 'Abmelden',
    keys: 'Tastenkürzel',
    language: 'Sprache',
    keysHelp: 'J und K wählen, B lässt blockiert, A erlaubt, U macht rückgängig, / sucht',
  },
  problem: (failure) => {
    if (failure.kind === 'unreachable') return 'Die Box ist nicht erreichbar. Nichts wurde geändert.';
    if (failure.kind === 'timeout') return 'Die Box hat nicht rechtzeitig geantwortet.';
    return problemText(deProblems, failure.problem.code);
  },
  unknownDevice: 'Ein Gerät, das wir nicht kennen',
  traits: (maker, since) => [maker && `von ${maker}`, since && `gesehen seit ${since}`].filter(Boolean).join(', '),
  today: (time) => `heute ${time}`,
  yesterday: (time) => `gestern ${time}`,
  duration: deDuration,
};
