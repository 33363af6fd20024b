//! An entity: what a part of a text is.

/// What a part of a text is.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Kind {
    Bold,
    Italic,
    Underline,
    Strikethrough,
    Spoiler,
    Blockquote,
    ExpandableBlockquote,
    Code,
    Pre,
    /// Code with the name of its language.
    PreCode(String),
    /// A text with a URL behind it.
    TextLink(String),
    /// A text with a user behind it.
    TextMention(i64),
    CustomEmoji(i64),
    /// A time, shown in the reader's zone: Unix seconds and the flags of its format.
    DateTime(i32, u8),
    // Found by the server in plain text.
    Url,
    Email,
    Mention,
    Hashtag,
    BotCommand,
}

/// A part of a text; offset and length in UTF-16 units.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entity {
    /// What it is.
    pub kind: Kind,
    /// Where it starts.
    pub offset: u32,
    /// How long it is; never 0.
    pub length: u32,
}

impl Entity {
    pub(super) fn new(kind: Kind, offset: u32, end: u32) -> Entity {
        Entity { kind, offset, length: end - offset }
    }

    /// The first unit behind it.
    pub fn end(&self) -> u32 {
        self.offset + self.length
    }

    /// Its name in the Bot API (MessageEntity.type).
    pub fn name(&self) -> &'static str {
        match self.kind {
            Kind::Bold => "bold",
            Kind::Italic => "italic",
            Kind::Underline => "underline",
            Kind::Strikethrough => "strikethrough",
            Kind::Spoiler => "spoiler",
            Kind::Blockquote => "blockquote",
            Kind::ExpandableBlockquote => "expandable_blockquote",
            Kind::Code => "code",
            Kind::Pre | Kind::PreCode(_) => "pre",
            Kind::TextLink(_) => "text_link",
            Kind::TextMention(_) => "text_mention",
            Kind::CustomEmoji(_) => "custom_emoji",
            Kind::DateTime(..) => "date_time",
            Kind::Url => "url",
            Kind::Email => "email",
            Kind::Mention => "mention",
            Kind::Hashtag => "hashtag",
            Kind::BotCommand => "bot_command",
        }
    }

    /// An entity of the Bot API's `entities` parameter that has no argument, by its name.
    pub(crate) fn plain(name: &str) -> Option<Kind> {
        Some(match name {
            "bold" => Kind::Bold,
            "italic" => Kind::Italic,
            "underline" => Kind::Underline,
            "strikethrough" => Kind::Strikethrough,
            "spoiler" => Kind::Spoiler,
            "blockquote" => Kind::Blockquote,
            "expandable_blockquote" => Kind::ExpandableBlockquote,
            "code" => Kind::Code,
            "pre" => Kind::Pre,
            _ => return None,
        })
    }

    /// How much it counts against the server's limit on all entities of a message (levlam, telegram-bot-api#165).
    pub(crate) fn weight(&self) -> usize {
        match &self.kind {
            Kind::TextLink(text) | Kind::PreCode(text) => 12 + text.len(),
            _ => 12,
        }
    }
}

impl Kind {
    /// TDLib's get_type_priority: what stands outside of what where two start and end together.
    fn priority(&self) -> u8 {
        match self {
            Kind::Blockquote | Kind::ExpandableBlockquote => 0,
            Kind::PreCode(_) => 10,
            Kind::Pre => 11,
            Kind::Code => 20,
            Kind::TextLink(_) | Kind::TextMention(_) => 49,
            Kind::Url | Kind::Email | Kind::Mention | Kind::Hashtag | Kind::BotCommand => 50,
            Kind::Bold => 90,
            Kind::Italic => 91,
            Kind::Underline => 92,
            Kind::Strikethrough => 93,
            Kind::Spoiler => 94,
            Kind::CustomEmoji(_) => 99,
            Kind::DateTime(..) => 48,
        }
    }
}

/// By start, then the longer first, then by kind. Stable: equals keep the order in which they ended.
pub(super) fn sort(entities: &mut [Entity]) {
    entities.sort_by_key(|entity| (entity.offset, u32::MAX - entity.length, entity.kind.priority()));
}
