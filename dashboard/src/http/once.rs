//! Requests that carry an `Idempotency-Key` are carried out once: a repeat gets the answer of the first.
//!
//! The key is of the session that sent it. Only what succeeded is remembered, for a while and in memory: what was refused
//! changed nothing and may be tried again.

use std::{
    collections::HashMap,
    future::Future,
    hash::{DefaultHasher, Hasher as _},
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use axum::{
    Json,
    http::{HeaderMap, StatusCode},
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use super::{problem::Problem, session::Token};

const HEADER: &str = "idempotency-key";
/// Longest key; a UUID has 36 characters.
const KEY_LIMIT: usize = 128;
/// How long an answer is remembered.
const REMEMBERED: Duration = Duration::from_mins(10);
/// Answers that are remembered; with more, a repeat is carried out as if it were the first, and meets what the first did.
const MOST: usize = 256;

/// Answers of a while ago.
#[derive(Default)]
pub(super) struct Once {
    answers: Mutex<HashMap<(Token, String), Kept>>,
}

struct Kept {
    /// Of what was asked, so that a key is not used for two things.
    asked: u64,
    /// None while it is being carried out.
    answer: Option<Value>,
    at: Instant,
}

impl Once {
    /// Carries it out, or answers as the first time.
    pub(super) async fn answer<T: Serialize + DeserializeOwned>(
        &self,
        headers: &HeaderMap,
        token: &Token,
        asked: &impl std::hash::Hash,
        work: impl Future<Output = Result<Json<T>, Problem>>,
    ) -> Result<Json<T>, Problem> {
        let Some(key) = headers.get(HEADER) else { return work.await };
        let key = key.to_str().ok().filter(|key| !key.is_empty() && key.len() <= KEY_LIMIT);
        let key = key.ok_or_else(|| Problem::invalid("The Idempotency-Key is empty, too long or no text"))?;
        let place = (token.clone(), key.to_owned());
        let mut hasher = DefaultHasher::new();
        asked.hash(&mut hasher);
        if let Some(answer) = self.begin(&place, hasher.finish())? {
            let answer = serde_json::from_value(answer).map_err(|_| other_use())?;
            return Ok(Json(answer));
        }
        let place = Begun { once: self, place: Some(place) };
        let answer = work.await?;
        place.end(serde_json::to_value(&answer.0).expect("view models are plain data"));
        Ok(answer)
    }

    /// The answer of the first time; `None` if this is it.
    fn begin(&self, place: &(Token, String), asked: u64) -> Result<Option<Value>, Problem> {
        let mut answers = self.lock();
        let now = Instant::now();
        answers.retain(|_, kept| now.duration_since(kept.at) < REMEMBERED);
        match answers.get(place) {
            Some(kept) if kept.asked != asked => Err(other_use()),
            Some(Kept { answer: Some(answer), .. }) => Ok(Some(answer.clone())),
            Some(Kept { answer: None, .. }) => Err(Problem::new(
                StatusCode::CONFLICT,
                "in_progress",
                "The same request is being carried out; ask again in a moment",
            )),
            None => {
                if answers.len() < MOST {
                    answers.insert(place.clone(), Kept { asked, answer: None, at: now });
                }
                Ok(None)
            }
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<(Token, String), Kept>> {
        // Every change of the table is a single call, so it is whole after a panic elsewhere.
        self.answers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A request that is being carried out; if it does not succeed, or nobody waits any more, it is forgotten.
struct Begun<'a> {
    once: &'a Once,
    place: Option<(Token, String)>,
}

impl Begun<'_> {
    fn end(mut self, answer: Value) {
        if let Some(place) = self.place.take()
            && let Some(kept) = self.once.lock().get_mut(&place)
        {
            kept.answer = Some(answer);
        }
    }
}

impl Drop for Begun<'_> {
    fn drop(&mut self) {
        if let Some(place) = &self.place {
            self.once.lock().remove(place);
        }
    }
}

fn other_use() -> Problem {
    Problem::invalid("This Idempotency-Key was used for something else")
}
