//! A body as it is read: piece by piece, and no further than an honest one goes.
//!
//! Eight megabytes hold millions of alerts `{}`, and each would become some kilobyte of texts. So what is not needed is
//! looked over without being built, and after [`MOST`] alerts the reading ends.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

use super::{Alert, Malformed, Status, read_alert};

/// Alerts in one webhook. Alertmanager needs 160 bytes and more for each, so its largest webhook that is taken (8 MiB) has
/// no more than that.
pub const MOST: usize = 50_000;

/// How an error that ends the reading is told from those of serde_json.
const TOO_MANY: &str = "too many alerts";

/// Members of a webhook that are read, beside `alerts`.
const MEMBERS: [&str; 5] = ["status", "groupLabels", "receiver", "externalURL", "truncatedAlerts"];

/// serde_json takes an object that begins with this name for a text to be parsed, and am-recv must take nothing that
/// alert-route could not read.
const RAW: &str = "$serde_json::private::RawValue";

/// What a body holds.
#[derive(Default)]
pub(super) struct Body {
    pub(super) top: Top,
    pub(super) list: List,
    /// How many alerts the list has.
    pub(super) count: usize,
    /// The alerts with their own status, and the other members, where they were asked for.
    pub(super) alerts: Vec<(Option<Status>, Alert)>,
    pub(super) members: Map<String, Value>,
}

#[derive(Clone, Copy, Default, PartialEq)]
pub(super) enum Top {
    Object,
    Array,
    #[default]
    Other,
}

#[derive(Clone, Copy, Default, PartialEq)]
pub(super) enum List {
    #[default]
    Absent,
    Null,
    There,
}

impl Body {
    /// Reads a body; `build` what is in it, or only look it over by the same rules.
    pub(super) fn read(body: &[u8], build: bool) -> Result<Body, Malformed> {
        // JSON is UTF-8; one wrong byte in an annotation must not cost the alert.
        let text = String::from_utf8_lossy(body);
        let mut read = Body::default();
        let mut input = serde_json::Deserializer::from_str(&text);
        let result = Whole { body: &mut read, build }.deserialize(&mut input).and_then(|()| input.end());
        match result {
            Ok(()) => Ok(read),
            Err(err) if err.to_string().starts_with(TOO_MANY) => Err(Malformed::TooMany),
            Err(err) => Err(Malformed::not_json(&err)),
        }
    }
}

/// The body itself.
struct Whole<'a> {
    body: &'a mut Body,
    build: bool,
}

/// Its list `alerts`.
struct Alerts<'a> {
    body: &'a mut Body,
    build: bool,
}

/// Anything, of which nothing is built. It is not serde's `IgnoredAny`: that one takes texts and depths which are refused
/// where they are built.
struct Look;

/// The name of a member; whether it is [`RAW`].
struct Name;

macro_rules! seed {
    ($name:ident $(<$life:lifetime>)?, $value:ty, $method:ident) => {
        impl<'de> DeserializeSeed<'de> for $name $(<$life>)? {
            type Value = $value;

            fn deserialize<D: Deserializer<'de>>(self, input: D) -> Result<$value, D::Error> {
                input.$method(self)
            }
        }
    };
}

seed!(Whole<'_>, (), deserialize_any);
seed!(Alerts<'_>, (), deserialize_any);
seed!(Look, (), deserialize_any);
seed!(Name, bool, deserialize_str);

/// What is neither object nor list says nothing.
macro_rules! scalars {
    () => {
        type Value = ();

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("any JSON")
        }

        fn visit_bool<E>(self, _: bool) -> Result<(), E> {
            Ok(())
        }

        fn visit_i64<E>(self, _: i64) -> Result<(), E> {
            Ok(())
        }

        fn visit_u64<E>(self, _: u64) -> Result<(), E> {
            Ok(())
        }

        fn visit_f64<E>(self, _: f64) -> Result<(), E> {
            Ok(())
        }

        fn visit_str<E>(self, _: &str) -> Result<(), E> {
            Ok(())
        }
    };
}

impl<'de> Visitor<'de> for Whole<'_> {
    scalars!();

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<(), A::Error> {
        self.body.top = Top::Array;
        Look.visit_seq(list)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        self.body.top = Top::Object;
        while let Some(name) = map.next_key::<std::borrow::Cow<'de, str>>()? {
            // Of members that come twice the last one holds.
            if name == "alerts" {
                (self.body.list, self.body.count) = (List::Absent, 0);
                self.body.alerts.clear();
                map.next_value_seed(Alerts { body: self.body, build: self.build })?;
            } else if self.build && MEMBERS.contains(&name.as_ref()) {
                self.body.members.insert(name.into_owned(), map.next_value()?);
            } else {
                map.next_value_seed(Look)?;
            }
        }
        Ok(())
    }
}

impl<'de> Visitor<'de> for Alerts<'_> {
    scalars!();

    /// A nil slice of a sender written in Go.
    fn visit_unit<E>(self) -> Result<(), E> {
        self.body.list = List::Null;
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        self.body.list = List::There;
        while self.body.count < MOST {
            if self.build {
                let Some(alert) = list.next_element::<Value>()? else { return Ok(()) };
                self.body.alerts.push(read_alert(&alert));
            } else if list.next_element_seed(Look)?.is_none() {
                return Ok(());
            }
            self.body.count += 1;
        }
        match list.next_element_seed(Look)? {
            Some(()) => Err(A::Error::custom(TOO_MANY)),
            None => Ok(()),
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<(), A::Error> {
        Look.visit_map(map)
    }
}

impl<'de> Visitor<'de> for Look {
    scalars!();

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        while list.next_element_seed(Look)?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(is_raw) = map.next_key_seed(Name)? {
            if is_raw {
                return Err(A::Error::custom("a name that no sender gives"));
            }
            map.next_value_seed(Look)?;
        }
        Ok(())
    }
}

impl Visitor<'_> for Name {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_str<E>(self, name: &str) -> Result<bool, E> {
        Ok(name == RAW)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alert::Webhook;

    /// Whether a body is taken by the look and by the reading, and how many alerts each finds.
    fn both(body: &str) -> [Result<usize, Malformed>; 2] {
        let read = Webhook::parse(body.as_bytes()).map(|webhook| webhook.alerts.len());
        [Webhook::check(body.as_bytes()), read]
    }

    #[test]
    fn the_look_and_the_reading_agree() {
        let deep = |depth: usize| format!(r#"{{"alerts":[{}{}]}}"#, "[".repeat(depth), "]".repeat(depth));
        for (body, alerts) in [
            (r#"{"alerts":[{},7,null,"x",[1],{"labels":{"a":"b"}}]}"#.to_owned(), Some(6)),
            (r#"{"alerts":null,"x":{"y":[1.5,-1,true]}}"#.to_owned(), Some(0)),
            (r#"{"alerts":[{},{}],"alerts":[{}]}"#.to_owned(), Some(1)),
            (r#"{"alerts":[{}],"alerts":7}"#.to_owned(), None),
            (r#"{"al\u0065rts":[{}]}"#.to_owned(), Some(1)),
            (deep(100), Some(1)),
            (deep(200), None),
            (r#"{"alerts":[{"a":"\ud800"}]}"#.to_owned(), None),
            (r#"{"alerts":[{"a":1e999}]}"#.to_owned(), None),
            (r#"{"alerts":[{"a":"\x"}]}"#.to_owned(), None),
            (r#"{"alerts":[{}]} x"#.to_owned(), None),
            (r#"{"alerts":[{}],"status":{"$serde_json::private::RawValue":3}}"#.to_owned(), None),
            (r#"{"alerts":[{"x":{"$serde_json::private::RawValue":3}}]}"#.to_owned(), None),
        ] {
            let [looked, read] = both(&body);
            assert_eq!(looked.as_ref().ok(), alerts.as_ref(), "{body:.80}");
            assert_eq!(read.as_ref().ok(), alerts.as_ref(), "{body:.80}");
        }
    }

    #[test]
    fn so_many_alerts_and_no_more() {
        let body = |count: usize| format!(r#"{{"alerts":[{}]}}"#, vec!["{}"; count].join(","));
        assert_eq!(both(&body(MOST)), [Ok(MOST), Ok(MOST)]);
        assert_eq!(both(&body(MOST + 1)), [Err(Malformed::TooMany), Err(Malformed::TooMany)]);
        // What follows is not read any more.
        let open = format!(r#"{{"alerts":[{}"#, "{},".repeat(MOST + 1));
        assert_eq!(both(&open), [Err(Malformed::TooMany), Err(Malformed::TooMany)]);
    }
}
