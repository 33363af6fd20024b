//! Who is let in: everybody, those on a list, or those whom an administrator has approved. In a group it is the group
//! that is let in, and everybody in it may use the bot.

use std::collections::BTreeSet;
use std::fmt;

use serde_json::Value;

use crate::config::Config;
use crate::users::Roster;

/// How people come in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Whoever stands in the users file; a stranger's /start is put to the administrators.
    Invite,
    /// Everybody.
    Open,
    /// Chats by id.
    List(BTreeSet<i64>),
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Mode::Invite => f.write_str("whom an administrator has approved"),
            Mode::Open => f.write_str("everybody"),
            Mode::List(ids) => write!(f, "{} chats by id", ids.len()),
        }
    }
}

/// The rules.
#[derive(Clone, Debug)]
pub struct Access {
    /// How people come in.
    pub mode: Mode,
    /// Administrators by the configuration; those of the users file come on top.
    pub admins: Vec<i64>,
}

impl Access {
    /// `access` and `admins` of the configuration; the error says what is wrong with `access`.
    pub fn new(config: &Config) -> Result<Self, String> {
        let wrong = || "access must be \"invite\", \"open\" or a list of chat ids".to_owned();
        let mode = match &config.access {
            None | Some(Value::Null) => Mode::Invite,
            Some(Value::String(word)) => match word.as_str() {
                "invite" | "None" => Mode::Invite,
                "open" => Mode::Open,
                _ => return Err(wrong()),
            },
            Some(Value::Array(ids)) => {
                let id = |id: &Value| id.as_i64().or_else(|| id.as_str()?.trim().parse().ok());
                Mode::List(ids.iter().map(id).collect::<Option<_>>().ok_or_else(wrong)?)
            }
            Some(_) => return Err(wrong()),
        };
        Ok(Access { mode, admins: config.admins.clone() })
    }

    /// Whether this person looks after the bot.
    pub fn is_admin(&self, roster: &Roster, person: i64) -> bool {
        self.admins.contains(&person)
            || roster.entry(person).is_some_and(|entry| entry.role.as_deref() == Some("admin"))
    }

    /// Everybody who looks after the bot.
    pub fn all_admins(&self, roster: &Roster) -> BTreeSet<i64> {
        let by_role = roster.chats().filter(|(_, entry)| entry.role.as_deref() == Some("admin"));
        let ids = by_role.filter_map(|(chat, _)| match chat {
            crate::record::Chat::Id(id) => Some(id),
            crate::record::Chat::Name(_) => None,
        });
        ids.chain(self.admins.iter().copied()).collect()
    }

    /// Whether the bot serves this chat.
    pub fn lets_in(&self, roster: &Roster, chat: i64) -> bool {
        let listed = match &self.mode {
            Mode::Open => true,
            Mode::List(ids) => ids.contains(&chat),
            Mode::Invite => roster.contains(chat),
        };
        listed || self.is_admin(roster, chat)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn access(access: Value, admins: &[i64]) -> Result<Access, String> {
        Access::new(&Config { access: Some(access), admins: admins.to_vec(), ..Config::default() })
    }

    #[test]
    fn three_ways() {
        let roster = Roster::parse(r#"{"1": "mem", "2": {"role": "admin"}}"#).unwrap();
        let who = |access: Access| [1, 2, 3, 4].map(|id| access.lets_in(&roster, id));
        assert_eq!(who(access(json!("invite"), &[4]).unwrap()), [true, true, false, true]);
        assert_eq!(who(access(json!("open"), &[]).unwrap()), [true; 4]);
        assert_eq!(who(access(json!([3, "4"]), &[]).unwrap()), [false, true, true, true]);
        for wrong in [json!("opne"), json!(true), json!([1, "x"])] {
            assert!(access(wrong, &[]).is_err());
        }
    }

    #[test]
    fn administrators_of_both_kinds() {
        let roster = Roster::parse(r#"{"2": {"role": "admin"}, "-5": "x", "@c": {"role": "admin"}}"#).unwrap();
        let access = access(json!("open"), &[9]).unwrap();
        assert_eq!(access.all_admins(&roster), BTreeSet::from([2, 9]));
        assert!(access.is_admin(&roster, 9) && access.is_admin(&roster, 2) && !access.is_admin(&roster, -5));
    }
}
