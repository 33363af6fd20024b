//! What a client did that it should not: counters, and the first examples of each.

use serde_json::{Map, Value, json};

const EXAMPLES: usize = 5;

macro_rules! violations {
    ($($variant:ident $name:literal,)+) => {
        /// A thing that a client should not do.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Violation { $($variant,)+ }

        const NAMES: &[&str] = &[$($name,)+];
    };
}

violations! {
    PerChat "per_chat",
    GroupMinute "group_minute",
    Overall "overall",
    EarlyRetry "early_retry",
    SameChatParallel "same_chat_parallel",
    Order "order",
    DuplicateText "duplicate_text",
    TooLong "too_long",
    BadMarkup "bad_html",
    BadJson "bad_json",
    DoublePoll "double_poll",
    UnconfirmedRedelivered "unconfirmed_redelivered",
    CallbackUnanswered "callback_unanswered",
    CallbackTwice "callback_twice",
    PollSpin "poll_spin",
    RetryAfterFatal "retry_after_fatal",
    ToDeadChat "to_dead_chat",
}

/// The counters.
#[derive(Debug, Default)]
pub struct Violations {
    counts: [u64; NAMES.len()],
    examples: [Vec<String>; NAMES.len()],
}

impl Violations {
    /// Counts one; the example is made only if there is room for it.
    pub fn add(&mut self, violation: Violation, example: impl FnOnce() -> String) {
        let i = violation as usize;
        self.counts[i] += 1;
        if self.examples[i].len() < EXAMPLES {
            self.examples[i].push(example());
        }
    }

    #[cfg(test)]
    pub fn count(&self, violation: Violation) -> u64 {
        self.counts[violation as usize]
    }

    pub fn total(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// The counters by name; `unanswered` is counted by who asks, because it changes with time.
    pub fn counts(&self, unanswered: u64) -> Value {
        let mut counts: Map<String, Value> =
            NAMES.iter().zip(self.counts).map(|(name, count)| ((*name).to_owned(), count.into())).collect();
        counts.insert(NAMES[Violation::CallbackUnanswered as usize].to_owned(), unanswered.into());
        Value::Object(counts)
    }

    pub fn to_json(&self, unanswered: u64) -> Value {
        let examples: Map<String, Value> = NAMES
            .iter()
            .zip(&self.examples)
            .filter(|(_, examples)| !examples.is_empty())
            .map(|(name, examples)| ((*name).to_owned(), json!(examples)))
            .collect();
        json!({"total": self.total() + unanswered, "counts": self.counts(unanswered), "examples": examples})
    }
}
