//! Channels as they are stored.

use std::collections::BTreeMap;

use muster_api::ChannelSpec;
use serde::Deserialize as _;
use serde_json::{Value, json};

/// How a stored channel is set up, without its secrets.
pub(crate) fn spec_of(channel: &muster_meta::Channel) -> Result<ChannelSpec, serde_json::Error> {
    let spec = ChannelSpec::deserialize(&channel.settings)?;
    Ok(ChannelSpec { name: channel.name.clone(), ..spec })
}

/// How a channel is stored: all but its secrets, which are sealed beside it.
pub(crate) fn stored(spec: &ChannelSpec) -> Value {
    json!(ChannelSpec { secrets: BTreeMap::new(), ..spec.clone() })
}
