//! What `tg-bot` knows: where a chat is among the dashboards, and what stands under a picture.

pub mod browse;
pub mod picture;
