//! The bot's words: one catalogue a language, in Telegram's HTML, with `{places}` for values, which are escaped.

use std::collections::HashMap;
use std::sync::LazyLock;

use crate::text::escape;

/// A catalogue and its code.
struct Catalogue {
    code: &'static str,
    words: HashMap<String, String>,
}

static CATALOGUES: LazyLock<[Catalogue; 2]> = LazyLock::new(|| {
    let read = |code, json: &str| Catalogue { code, words: serde_json::from_str(json).unwrap_or_default() };
    // English comes first: it is what people get whose language is not here.
    [read("en", include_str!("words/en.json")), read("ru", include_str!("words/ru.json"))]
});

/// Every key of the catalogues, so that a key that is missing or left over fails a test.
macro_rules! words {
    ($($name:ident = $key:literal),* $(,)?) => {
        /// What the bot can say.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Word {
            $(#[doc = $key] $name,)*
        }

        impl Word {
            /// Its key in the catalogues.
            pub fn key(self) -> &'static str {
                match self { $(Word::$name => $key,)* }
            }

            #[cfg(test)]
            const ALL: &[Word] = &[$(Word::$name,)*];
        }
    };
}

words! {
    Start = "start",
    StartNoGrafana = "start.no_grafana",
    WhoGets = "who.gets",
    WhoGetsNone = "who.gets_none",
    WhoStill = "who.still",
    WhoStopped = "who.stopped",
    TimeMoment = "time.moment",
    Help = "help",
    HelpGrafana = "help.grafana",
    HelpAdmin = "help.admin",
    HelpPattern = "help.pattern",
    HelpMatchers = "help.matchers",
    CommandStart = "command.start",
    CommandHelp = "command.help",
    CommandRegexp = "command.regexp",
    CommandSubscribe = "command.subscribe",
    CommandUnsubscribe = "command.unsubscribe",
    CommandList = "command.list",
    CommandMute = "command.mute",
    CommandUnmute = "command.unmute",
    CommandStop = "command.stop",
    CommandDashboards = "command.dashboards",
    CommandUsers = "command.users",
    CommandRemove = "command.remove",
    Forwarded = "forwarded",
    Failed = "failed",
    FailedUsers = "failed.users",
    TooMany = "too_many",
    Unknown = "unknown",
    UnknownNear = "unknown.near",
    RegexpSet = "regexp.set",
    RegexpAll = "regexp.all",
    RegexpQuotes = "regexp.quotes",
    RegexpOff = "regexp.off",
    RegexpOffKept = "regexp.off_kept",
    RegexpBad = "regexp.bad",
    RegexpLookAround = "regexp.look_around",
    RegexpBackreference = "regexp.backreference",
    RegexpTooLong = "regexp.too_long",
    RegexpKept = "regexp.kept",
    MistakeUnclosed = "mistake.unclosed",
    MistakeUnopened = "mistake.unopened",
    MistakeQuote = "mistake.quote",
    MistakeRepetition = "mistake.repetition",
    MistakeBounds = "mistake.bounds",
    MistakeUnknown = "mistake.unknown",
    MistakeNoLabel = "mistake.no_label",
    MistakeNoSign = "mistake.no_sign",
    MistakeNoComma = "mistake.no_comma",
    MistakeEmpty = "mistake.empty",
    MistakeTooLong = "mistake.too_long",
    MistakeTooBig = "mistake.too_big",
    MistakeTooMany = "mistake.too_many",
    MistakeOther = "mistake.other",
    SubscribeSet = "subscribe.set",
    SubscribeEverything = "subscribe.everything",
    SubscribeKept = "subscribe.kept",
    SubscribeBad = "subscribe.bad",
    SubscribeFull = "subscribe.full",
    TooHeavy = "too_heavy",
    SeenFit = "seen.fit",
    SeenNone = "seen.none",
    UnsubscribeDone = "unsubscribe.done",
    UnsubscribeAll = "unsubscribe.all",
    UnsubscribeUnknown = "unsubscribe.unknown",
    ListTitle = "list.title",
    ListMatch = "list.match",
    ListAll = "list.all",
    ListAllAnyway = "list.all_anyway",
    ListLabels = "list.labels",
    ListMuted = "list.muted",
    ListNothing = "list.nothing",
    MuteSet = "mute.set",
    MuteHow = "mute.how",
    MuteEnded = "mute.ended",
    Stopped = "stopped",
    StoppedBack = "stopped.back",
    StoppedUnmuted = "stopped.unmuted",
    AccessAsked = "access.asked",
    AccessAskedGroup = "access.asked_group",
    AccessNoAdmin = "access.no_admin",
    AccessNoAdminGroup = "access.no_admin_group",
    AccessCodeInGroup = "access.code_in_group",
    AccessRequest = "access.request",
    AccessRequestGroup = "access.request_group",
    AccessApprove = "access.approve",
    AccessDeny = "access.deny",
    AccessAfterAll = "access.after_all",
    AccessApproved = "access.approved",
    AccessDenied = "access.denied",
    AccessGone = "access.gone",
    AccessNotYours = "access.not_yours",
    AccessWelcome = "access.welcome",
    AccessPaired = "access.paired",
    AccessGroupIn = "access.group_in",
    AdminOnly = "admin.only",
    AdminPrivately = "admin.privately",
    AdminAnonymous = "admin.anonymous",
    UsersTitle = "users.title",
    UsersLine = "users.line",
    UsersAdmin = "users.admin",
    UsersBlocked = "users.blocked",
    UsersMuted = "users.muted",
    UsersNothing = "users.nothing",
    UsersMore = "users.more",
    UsersEmpty = "users.empty",
    UsersOpen = "users.open",
    UsersList = "users.list",
    RemoveHow = "remove.how",
    RemoveDone = "remove.done",
    RemoveUnknown = "remove.unknown",
    RemoveConfigured = "remove.configured",
    RemoveLast = "remove.last",
    GrafanaNone = "grafana.none",
    GrafanaFailed = "grafana.failed",
    GrafanaUnreachable = "grafana.unreachable",
    GrafanaDenied = "grafana.denied",
    GrafanaNotFound = "grafana.not_found",
    GrafanaNoRenderer = "grafana.no_renderer",
    GrafanaBusy = "grafana.busy",
    GrafanaNotDrawn = "grafana.not_drawn",
    GrafanaNotPicture = "grafana.not_picture",
    GrafanaOther = "grafana.other",
    CountChats = "count.chats",
    CountDashboards = "count.dashboards",
    CountPanels = "count.panels",
    BrowseBack = "browse.back",
    BrowseDashboards = "browse.dashboards",
    BrowseFolder = "browse.folder",
    BrowseSearch = "browse.search",
    BrowseNone = "browse.none",
    BrowsePanels = "browse.panels",
    BrowseRow = "browse.row",
    BrowsePanelSearch = "browse.panel_search",
    BrowseNoPanels = "browse.no_panels",
    BrowseGone = "browse.gone",
    BrowseUnknown = "browse.unknown",
    BrowseUnknownIn = "browse.unknown_in",
    BrowseNearest = "browse.nearest",
    BrowseElsewhere = "browse.elsewhere",
    BrowseCannotDraw = "browse.cannot_draw",
    BrowsePage = "browse.page",
    PictureDrawing = "picture.drawing",
    PictureOld = "picture.old",
    PictureRefused = "picture.refused",
    PictureFailed = "picture.failed",
    PictureHour = "picture.hour",
    PictureSixHours = "picture.six_hours",
    PictureDay = "picture.day",
    PictureWeek = "picture.week",
    PictureLast = "picture.last",
    PictureOwn = "picture.own",
    PictureOwnRange = "picture.own_range",
    PictureRefresh = "picture.refresh",
    PictureBack = "picture.back",
    PictureUntitled = "picture.untitled",
}

/// The words of one language.
#[derive(Clone, Copy)]
pub struct Words(&'static Catalogue);

impl Words {
    /// Those of an IETF language tag such as `ru` or `pt-BR`; nothing where there is no catalogue.
    pub fn known(tag: &str) -> Option<Words> {
        let primary = tag.split(['-', '_']).next().unwrap_or_default();
        CATALOGUES.iter().find(|catalogue| catalogue.code.eq_ignore_ascii_case(primary)).map(Words)
    }

    /// The first of these tags for which there is a catalogue, else English.
    pub fn of<'a>(tags: impl IntoIterator<Item = Option<&'a str>>) -> Words {
        tags.into_iter().flatten().find_map(Words::known).unwrap_or(Words(&CATALOGUES[0]))
    }

    /// Every language there is.
    pub fn all() -> impl Iterator<Item = Words> {
        CATALOGUES.iter().map(Words)
    }

    /// The language's code.
    pub fn code(self) -> &'static str {
        self.0.code
    }

    /// A text without places.
    pub fn get(self, word: Word) -> &'static str {
        self.0.words.get(word.key()).map_or_else(|| word.key(), String::as_str)
    }

    /// The form of a text for a person, a group, a topic of it, or a channel: of those separated by `|`, by number.
    pub fn form(self, word: Word, form: usize) -> &'static str {
        self.get(word).split('|').nth(form).unwrap_or_default()
    }

    /// A text with its places filled; the values are escaped.
    pub fn say(self, word: Word, values: &[(&str, &str)]) -> String {
        let escaped: Vec<(&str, String)> = values.iter().map(|(name, value)| (*name, escape(value))).collect();
        fill(self.get(word), &escaped)
    }

    /// A text whose values are Telegram's HTML already, or are shown where there is no markup.
    pub fn join(self, word: Word, values: &[(&str, &str)]) -> String {
        let raw: Vec<(&str, String)> = values.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        fill(self.get(word), &raw)
    }

    /// `5 alerts`: the form of a noun for a number, of those separated by `|` in the text.
    pub fn count(self, forms: &str, n: u64) -> String {
        let forms: Vec<&str> = forms.split('|').collect();
        let form = match self.code() {
            "ru" => match (n % 10, n % 100) {
                (1, tens) if tens != 11 => 0,
                (2..=4, tens) if !(12..=14).contains(&tens) => 1,
                _ => 2,
            },
            _ => usize::from(n != 1),
        };
        format!("{n} {}", forms.get(form).or(forms.last()).unwrap_or(&""))
    }
}

/// One pass, so that a value that looks like a place stays what it is.
fn fill(template: &str, values: &[(&str, String)]) -> String {
    let mut text = String::with_capacity(template.len() + 64);
    let mut rest = template;
    while let Some(open) = rest.find('{') {
        text.push_str(&rest[..open]);
        rest = &rest[open..];
        let place = rest.find('}').map(|close| &rest[1..close]);
        match place.and_then(|name| Some((name, values.iter().find(|(known, _)| *known == name)?))) {
            Some((name, (_, value))) => {
                text.push_str(value);
                rest = &rest[name.len() + 2..];
            }
            None => {
                text.push('{');
                rest = &rest[1..];
            }
        }
    }
    text + rest
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn places(text: &str) -> BTreeSet<&str> {
        text.split('{').skip(1).filter_map(|rest| rest.split_once('}')).map(|(name, _)| name).collect()
    }

    /// A missing or an extra key fails here, and so does a place that one language has and another has not.
    #[test]
    fn every_language_says_everything() {
        let keys: BTreeSet<&str> = Word::ALL.iter().map(|word| word.key()).collect();
        for words in Words::all() {
            let own: BTreeSet<&str> = words.0.words.keys().map(String::as_str).collect();
            assert_eq!(own, keys, "{}", words.code());
            for word in Word::ALL {
                let english = CATALOGUES[0].words[word.key()].as_str();
                assert_eq!(places(words.get(*word)), places(english), "{} {}", words.code(), word.key());
            }
        }
    }

    #[test]
    fn for_each_kind_of_chat_there_is_a_form() {
        for words in Words::all() {
            for word in [Word::WhoGets, Word::WhoGetsNone, Word::WhoStill, Word::WhoStopped] {
                let forms: BTreeSet<&str> = words.get(word).split('|').collect();
                assert_eq!(forms.len(), 4, "{} {}", words.code(), word.key());
            }
        }
    }

    #[test]
    fn every_text_is_markup_that_telegram_takes() {
        for words in Words::all() {
            for word in Word::ALL {
                let text = words.say(*word, &[]);
                assert_eq!(crate::markup::well_formed(text.clone()), text, "{} {}", words.code(), word.key());
            }
        }
    }

    #[test]
    fn values_are_escaped_and_are_no_places() {
        let english = Words::of([Some("de"), None]);
        assert_eq!(english.code(), "en");
        let said = english.say(Word::UnsubscribeUnknown, &[("what", "<b>{what}")]);
        assert!(said.contains("&lt;b&gt;{what}"), "{said}");
        assert_eq!(fill("{a}{b}{", &[("a", "{b}".to_owned())]), "{b}{b}{");
    }

    #[test]
    fn languages_by_tag() {
        assert_eq!(Words::of([Some("ru-RU")]).code(), "ru");
        assert_eq!(Words::of([None, Some("RU")]).code(), "ru");
        assert_eq!(Words::of([Some("pt-br"), Some("ru")]).code(), "ru");
    }

    #[test]
    fn numbers() {
        let (english, russian) = (Words::of([Some("en")]), Words::of([Some("ru")]));
        let count = |words: Words, n| words.count(if words.code() == "ru" { "раз|раза|раз" } else { "time|times" }, n);
        assert_eq!((count(english, 1), count(english, 0)), ("1 time".to_owned(), "0 times".to_owned()));
        for (n, form) in [(1, "1 раз"), (2, "2 раза"), (5, "5 раз"), (11, "11 раз"), (12, "12 раз"), (22, "22 раза")]
        {
            assert_eq!(count(russian, n), form);
        }
    }
}
