//! How much one person may ask of alert-route: it tries every expression of everybody on every alert.
//!
//! Each expression has bounds of its own, but a chat has topics, and each topic has sets. What an administrator writes into
//! the users file is not counted out; only nothing is added to it here.

use crate::users::{Roster, Subscription, Wish};

/// What the expressions of one chat, over all its topics, may take compiled: bytes. `db|web` takes a 500th of it, `\w+` an
/// eighth, and a hundred names of 20 letters a third at most.
const MOST_WEIGHT: usize = 512 << 10;

/// Matcher sets of one chat over all its topics.
pub(super) const MOST_SETS: usize = 100;

/// Whether so much may be added to what the chat has; `replaced` is what it takes the place of.
pub(super) fn bears(roster: &Roster, chat: i64, added: &Wish, replaced: &[String]) -> bool {
    let added = added.weight();
    if added == 0 {
        return true;
    }
    let all: usize = subscriptions(roster, chat).iter().map(weight).sum();
    let gone: usize = replaced.iter().filter_map(|pattern| Wish::by_name(pattern).ok()).map(|wish| wish.weight()).sum();
    all.saturating_sub(gone) + added <= MOST_WEIGHT
}

/// How many matcher sets the chat has, over all its topics.
pub(super) fn sets(roster: &Roster, chat: i64) -> usize {
    subscriptions(roster, chat).iter().map(|subscription| subscription.labels.len()).sum()
}

fn subscriptions(roster: &Roster, chat: i64) -> Vec<Subscription> {
    roster.entry(chat).map(|entry| entry.subscriptions).unwrap_or_default()
}

fn weight(subscription: &Subscription) -> usize {
    let by_name = subscription.patterns.iter().map(|pattern| Wish::by_name(pattern));
    let by_labels = subscription.labels.iter().map(|set| Wish::by_labels(set));
    by_name.chain(by_labels).flatten().map(|wish| wish.weight()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_chat_has_one_budget_over_all_its_topics() {
        let mut roster = Roster::default();
        let heavy = |n: u32| format!(r#"instance=~"(?:[ -~]?){{1000}}{n}!""#);
        let mut taken = 0;
        for n in 0..50 {
            let set = heavy(n);
            if bears(&roster, -1, &Wish::by_labels(&set).unwrap(), &[]) {
                roster.subscribe(-1, Some(i64::from(n) + 2), &set);
                taken += 1;
            }
        }
        assert!((1..10).contains(&taken), "{taken}");
        assert_eq!(sets(&roster, -1), taken);
        let set = heavy(99);
        assert!(bears(&roster, -2, &Wish::by_labels(&set).unwrap(), &[]), "another chat has its own");
        // What costs nothing is always to be had.
        for plain in [r#"severity="critical""#, r#"a!="b",c="d""#] {
            assert!(bears(&roster, -1, &Wish::by_labels(plain).unwrap(), &[]), "{plain}");
        }
        assert!(bears(&roster, -1, &Wish::by_name("*").unwrap(), &[]));
    }

    #[test]
    fn what_is_replaced_makes_room() {
        let heavy = "([ -~]?){1000}!";
        let wish = Wish::by_name(heavy).unwrap();
        let mut roster = Roster::default();
        while bears(&roster, 1, &wish, &[]) {
            let set = format!("a{}=~\"{heavy}\"", sets(&roster, 1));
            roster.subscribe(1, None, &set);
        }
        roster.set_match(1, None, heavy);
        assert!(!bears(&roster, 1, &wish, &[]));
        let usual = Wish::by_name("mem|cpu").unwrap();
        assert!(bears(&roster, 1, &usual, &[heavy.to_owned()]));
    }

    #[test]
    fn what_people_ask_for_fits_many_times() {
        let mut roster = Roster::default();
        for n in 0..20 {
            let set = format!(r#"team=~"db|web|team{n}", severity="critical", instance=~"web-[0-9]+.*""#);
            assert!(bears(&roster, 1, &Wish::by_labels(&set).unwrap(), &[]), "{n}");
            roster.subscribe(1, None, &set);
        }
        let names = (0..100).map(|n| format!("HostOutOfMemory{n}")).collect::<Vec<_>>().join("|");
        assert!(bears(&roster, 1, &Wish::by_name(&names).unwrap(), &[]));
        assert!(bears(&roster, 1, &Wish::by_name(r"\w+").unwrap(), &[]));
    }
}
