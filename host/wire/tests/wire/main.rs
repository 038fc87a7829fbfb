//! The format of every message, held to from outside: what is encoded decodes to the same, an agreed
//! example keeps its bytes, and bytes that are no message of ours are refused by name.

mod arbitrary;
mod buckets;
mod examples;
mod golden;
mod refused;
mod round_trip;
mod secret;

/// Runs a macro with the list of all message types; a new one is added here and nowhere else.
macro_rules! for_every_message {
    ($run:ident) => {
        $run! {
            request: colony_wire::client::Request,
            reply: colony_wire::client::Reply,
            routes_request: colony_wire::client::RoutesRequest,
            routes: colony_wire::client::Routes,
            peer_message: colony_wire::peer::PeerMessage,
            heal: colony_wire::heal::HealMessage,
            beacon: colony_wire::control::Beacon,
            control_request: colony_wire::control::ControlRequest,
            island_request: colony_wire::control::IslandRequest,
            control_reply: colony_wire::control::ControlReply,
            admin_request: colony_wire::admin::AdminRequest,
            admin_reply: colony_wire::admin::AdminReply,
            plugin_part: colony_wire::plugin::PluginPart,
        }
    };
}
pub(crate) use for_every_message;
