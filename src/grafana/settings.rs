//! Which Grafana, who we are there, and how to reach it.

use std::path::PathBuf;
use std::time::Duration;

use crate::cli::Failure;
use crate::config::Config;
use crate::secret::Secret;

/// Who we are for Grafana.
#[derive(Clone, Debug, Default)]
pub enum Login {
    /// Nobody; right where anonymous access is on.
    #[default]
    Anonymous,
    /// A service account's token or an old API key.
    Token(Secret),
    /// A user's name and password.
    Password(String, Secret),
}

/// Which Grafana, and how to reach it.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Its root with the sub path, `https://host/grafana`; `user:password@` is taken as the login.
    pub url: String,
    /// The login.
    pub login: Login,
    /// The organisation. Sent as a header: `orgId=` in a URL would switch the user's own (facts 0.6).
    pub org: Option<u64>,
    /// Further headers of every request, for proxies in front of Grafana.
    pub headers: Vec<(String, Secret)>,
    /// PEM file of the only authorities to trust, instead of Mozilla's list.
    pub ca: Option<PathBuf>,
    /// Trust any certificate.
    pub insecure: bool,
    /// The limit for one call of the JSON API.
    pub timeout: Duration,
    /// How often to try again when Grafana is busy (429, 502, 503, its placeholder).
    pub retries: u32,
    /// The pause before the first of these; it doubles each time.
    pub pause: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            url: String::new(),
            login: Login::Anonymous,
            org: None,
            headers: Vec::new(),
            ca: None,
            insecure: false,
            timeout: Duration::from_secs(30),
            retries: 2,
            pause: Duration::from_secs(1),
        }
    }
}

impl Settings {
    /// What the configuration says; an error where it does not say where Grafana is.
    pub fn from_config(config: &Config) -> Result<Settings, Failure> {
        let url = config.grafana_url.clone().ok_or_else(|| {
            Failure::misuse("it is not said where grafana is")
                .hint("set GRAFANA_URL, or grafana_url in the configuration file")
        })?;
        Ok(Settings {
            url,
            login: Login::from_config(config)?,
            org: config.grafana_org,
            ca: config.grafana_ca.clone(),
            ..Settings::default()
        })
    }
}

impl Login {
    fn from_config(config: &Config) -> Result<Login, Failure> {
        Ok(match (&config.grafana_token, &config.grafana_user, &config.grafana_password) {
            (Some(token), _, _) => Login::Token(token.clone()),
            (None, Some(user), Some(password)) => Login::Password(user.clone(), password.clone()),
            (None, Some(_), None) => return Err(Failure::misuse("GRAFANA_USER is set without GRAFANA_PASSWORD")),
            (None, None, _) => Login::Anonymous,
        })
    }
}
