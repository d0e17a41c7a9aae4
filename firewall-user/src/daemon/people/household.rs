//! What a household sets up: what the site is called, and where questions are told and shown.

use dashboard::{
    http::server_of,
    pushes::Told,
    rpc::{Broker, Refusal},
    view::{BrokerState, FirstRun, HomeAssistant, Ntfy, Settings},
};
use graph::principal::{NAME_CAP, harmless};
use serde::{Deserialize, Serialize};

use crate::{
    pairing::{refusal, typed},
    store::Change,
};

/// Under which name it is stored.
pub(in crate::daemon) const SETTING: &str = "household";
/// Random characters of a topic: 120 bits.
const TOPIC_LENGTH: usize = 24;
/// Longest address of a server or page.
const ADDRESS_LIMIT: usize = 200;

/// As it is stored.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::daemon) struct Household {
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    ntfy: Option<Ntfy>,
    #[serde(default)]
    broker: Option<Broker>,
    /// The step of the first run that comes next; none was said where it is the first, or from before it was kept.
    #[serde(default)]
    first_run: Option<FirstRun>,
    /// Whether the broker has ever let us in.
    #[serde(default)]
    reached: bool,
    #[serde(default)]
    told: Told,
}

impl Household {
    /// Takes up what was stored; what cannot be read is set up anew.
    pub(in crate::daemon) fn restore(stored: Option<&[u8]>) -> Self {
        stored.and_then(|value| serde_json::from_slice(value).ok()).unwrap_or_default()
    }

    pub(super) fn settings(&self) -> Settings {
        let begun = if self.name.is_some() { FirstRun::Done } else { FirstRun::Name };
        Settings {
            name: self.name.clone(),
            notified: self.ntfy.is_some() || (self.broker.is_some() && self.reached),
            first_run: self.first_run.unwrap_or(begun),
            ..Settings::default()
        }
    }

    pub(super) fn told(&self) -> &Told {
        &self.told
    }

    pub(super) fn note_told(&mut self, told: Told) -> Change {
        self.told = told.bounded();
        self.change()
    }

    /// The broker has let us in; nothing changes where that is known.
    pub(super) fn note_reached(&mut self) -> Option<Change> {
        let is_news = self.broker.is_some() && !std::mem::replace(&mut self.reached, true);
        is_news.then(|| self.change())
    }

    pub(super) fn ntfy(&self) -> Option<&Ntfy> {
        self.ntfy.as_ref()
    }

    /// What is not said stays.
    pub(super) fn set_up(&mut self, name: Option<&str>, first_run: Option<FirstRun>) -> Change {
        let first_run = first_run.unwrap_or(self.settings().first_run);
        if let Some(name) = name {
            self.name = Some(harmless(name, NAME_CAP)).filter(|name| !name.is_empty());
        }
        self.first_run = Some(first_run);
        self.change()
    }

    /// Tells questions to a new topic of this server; who knew the old one learns nothing more.
    pub(super) fn tell(
        &mut self,
        server: Option<&str>,
        page: Option<&str>,
        random: [u8; TOPIC_LENGTH],
    ) -> Result<Change, Refusal> {
        self.ntfy = match server {
            None => None,
            Some(server) => {
                let is_short = server.len() <= ADDRESS_LIMIT;
                let server = is_short.then(|| server_of(server)).flatten().ok_or_else(|| {
                    refusal(
                        "server_format",
                        "write the server as https://NAME, without a path: https://ntfy.sh",
                    )
                })?;
                let page = page.filter(|page| page.len() <= ADDRESS_LIMIT && page.is_ascii());
                let topic = format!("edgeward-{}", typed(&random).to_ascii_lowercase());
                Some(Ntfy { server, topic, page: page.map(str::to_owned) })
            }
        };
        Ok(self.change())
    }

    pub(super) fn broker(&self) -> Option<&Broker> {
        self.broker.as_ref()
    }

    /// The broker without its password.
    pub(super) fn home_assistant(&self) -> Option<HomeAssistant> {
        let Broker { host, port, user, .. } = self.broker.clone()?;
        Some(HomeAssistant { host, port, user, state: BrokerState::default() })
    }

    /// Shows questions to Home Assistant through this broker.
    pub(super) fn show_at(&mut self, broker: Option<Broker>) -> Result<Change, Refusal> {
        if let Some(Broker { host, port, user, password }) = &broker {
            let texts = [Some(host), user.as_ref(), password.as_ref()];
            let is_text = |text: &String| text.len() <= ADDRESS_LIMIT && !text.chars().any(char::is_control);
            let is_host = !host.is_empty() && !host.contains([' ', '/', '@']);
            if !is_host || *port == 0 || !texts.into_iter().flatten().all(is_text) {
                return Err(refusal(
                    "broker_format",
                    "write the broker as an address or name, with its port",
                ));
            }
        }
        self.broker = broker;
        self.reached = false;
        Ok(self.change())
    }

    fn change(&self) -> Change {
        let value = serde_json::to_vec(self).expect("it is plain data");
        Change::PutSetting { name: SETTING, value: Some(value) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_cannot_be_guessed_and_is_a_new_one_each_time() {
        let mut household = Household::default();
        assert!(!household.settings().notified);
        household.tell(Some("https://ntfy.sh/"), None, [7; TOPIC_LENGTH]).unwrap();
        let first = household.ntfy().unwrap().clone();
        assert_eq!((first.server.as_str(), first.topic.len()), ("https://ntfy.sh", 9 + TOPIC_LENGTH));
        let change = household.tell(Some("http://10.0.0.9:8090"), None, [8; TOPIC_LENGTH]).unwrap();
        assert_ne!(household.ntfy().unwrap().topic, first.topic);

        let Change::PutSetting { value: Some(value), .. } = change else { panic!("{change:?}") };
        assert_eq!(Household::restore(Some(&value)), household);
        assert_eq!(Household::restore(Some(b"{")), Household::default());
        household.tell(None, None, [9; TOPIC_LENGTH]).unwrap();
        assert!(!household.settings().notified);
    }

    #[test]
    fn what_is_no_server_is_refused() {
        let mut household = Household::default();
        for server in
            ["ntfy.sh", "ftp://ntfy.sh", "https://ntfy.sh/topic", "https://", "https://a b", "https://x:y"]
        {
            assert_eq!(
                household.tell(Some(server), None, [1; TOPIC_LENGTH]).unwrap_err().code,
                "server_format",
                "{server}"
            );
        }
    }

    #[test]
    fn the_password_of_a_broker_is_not_shown() {
        let mut household = Household::default();
        let broker = |host: &str, port| Broker {
            host: host.to_owned(),
            port,
            user: Some("edgeward".to_owned()),
            password: Some("secret".to_owned()),
        };
        for (host, port) in [("", 1883), ("a b", 1883), ("mqtt://hub", 1883), ("hub\n", 1883), ("hub", 0)] {
            assert_eq!(
                household.show_at(Some(broker(host, port))).unwrap_err().code,
                "broker_format",
                "{host:?}"
            );
        }
        household.show_at(Some(broker("192.168.1.5", 1883))).unwrap();
        let shown = serde_json::to_string(&household.home_assistant()).unwrap();
        assert!(shown.contains("edgeward") && !shown.contains("secret"), "{shown}");
        assert!(!household.settings().notified, "nobody knows yet whether it works");
        assert!(household.note_reached().is_some() && household.settings().notified);
        assert_eq!(household.note_reached(), None);
        household.show_at(Some(broker("192.168.1.6", 1883))).unwrap();
        assert!(!household.settings().notified, "another broker");
        household.note_reached();
        household.show_at(None).unwrap();
        assert!(!household.settings().notified && household.home_assistant().is_none());
    }

    #[test]
    fn a_name_is_harmless() {
        let mut household = Household::default();
        household.set_up(Some(" Home \u{202e}of\nAnna "), None);
        assert_eq!(household.settings().name.as_deref(), Some("Home of Anna"));
        household.set_up(Some("  "), None);
        assert_eq!(household.settings().name, None);
    }

    #[test]
    fn the_first_run_goes_on_where_it_was() {
        let mut household = Household::default();
        assert_eq!(household.settings().first_run, FirstRun::Name);
        household.set_up(Some("Home"), Some(FirstRun::Trust));
        let change = household.set_up(None, Some(FirstRun::Pin));
        let Change::PutSetting { value: Some(value), .. } = change else { panic!("{change:?}") };
        let mut restored = Household::restore(Some(&value));
        assert_eq!(restored.settings().first_run, FirstRun::Pin);
        restored.set_up(Some("Our home"), None);
        assert_eq!(
            (restored.settings().name.as_deref(), restored.settings().first_run),
            (Some("Our home"), FirstRun::Pin)
        );
    }

    #[test]
    fn naming_a_site_is_not_the_end_of_its_first_run() {
        let mut household = Household::default();
        household.set_up(Some("Home"), None);
        assert_eq!(household.settings().first_run, FirstRun::Name);
    }

    #[test]
    fn a_household_from_before_it_was_kept_is_not_asked_again() {
        let named = Household::restore(Some(br#"{"name":"Home","ntfy":null,"broker":null}"#));
        assert_eq!(named.settings().first_run, FirstRun::Done);
        let nameless = Household::restore(Some(br#"{"name":null,"ntfy":null,"broker":null}"#));
        assert_eq!(nameless.settings().first_run, FirstRun::Name);
    }
}
