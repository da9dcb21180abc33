//! What the server says on a connection, and what becomes of the connection.

use std::sync::Arc;

use muster_wire::{AgentHello, GoodbyeReason, RejectCode};

use crate::backoff::Backoff;
use crate::config::{AgentError, advice};
use crate::enrolment::{Enrolment, remove_left_token};
use crate::exchange::Notice;
use crate::link::LinkEvent;
use crate::tasks::on_disk;

use super::Agent;

/// From here on the difference between this host's clock and the server's is told.
const CLOCK_OFFSET_MS: i64 = 60_000;

impl Agent {
    pub(super) async fn handle_link(&mut self, event: Option<LinkEvent>) -> Result<(), AgentError> {
        let now_ms = self.clock.monotonic_ms();
        match event {
            Some(LinkEvent::Up) => {
                let hello = self.hello()?;
                self.exchange.connected(hello, now_ms);
            }
            Some(LinkEvent::Frame(frame)) => {
                match self.exchange.handle_frame(&frame, self.clock.now_ms(), now_ms) {
                    Ok(Some(notice)) => self.heed(notice).await?,
                    Ok(None) => {}
                    Err(error) => {
                        tracing::warn!(%error, "the session with the server fails");
                        self.hang_up();
                    }
                }
            }
            Some(LinkEvent::Down(reason)) => {
                tracing::warn!(server = %self.config.server_url, %reason, "no connection to the server; samples are kept");
                self.hang_up();
            }
            None => self.hang_up(),
        }
        Ok(())
    }

    fn hello(&self) -> Result<AgentHello, AgentError> {
        let mut nonce = [0; 32];
        aws_lc_rs::rand::fill(&mut nonce).map_err(|_| AgentError::Random)?;
        Ok(AgentHello {
            instance: self.instance.clone(),
            public_key: [0; 32],
            enroll_token: self.config.token.clone().filter(|_| self.use_token),
            agent_version: self.config.agent_version.clone(),
            boot_id: self.facts.boot_id.clone(),
            nonce,
            os: self.facts.os.clone(),
        })
    }

    async fn heed(&mut self, notice: Notice) -> Result<(), AgentError> {
        match notice {
            Notice::Welcomed { instance, interval_ms } => {
                tracing::info!(server = %self.config.server_url, %instance, "connected");
                let (wall_ms, now_ms) = (self.clock.now_ms(), self.clock.monotonic_ms());
                self.welcomed_ms = Some(now_ms);
                self.updater.welcomed(wall_ms, now_ms);
                self.supervision.status(&format!("connected to {}", self.config.server_url));
                self.tell_clock_offset();
                if interval_ms > 0 {
                    self.schedule.set_interval(interval_ms);
                }
                self.record_enrolment(instance).await;
            }
            Notice::Settings { interval_ms, lease_ms } => {
                self.schedule.boost(interval_ms, lease_ms, self.clock.monotonic_ms());
            }
            Notice::Recall { from_ms, to_ms } => {
                if let Some(recorder) = &mut self.recorder {
                    recorder.recall(from_ms, to_ms);
                }
            }
            Notice::Configuration(configuration) => self.configure(*configuration).await,
            Notice::ProcessWatch { lease_ms } => self.watch_processes(lease_ms),
            Notice::Release(offer) => {
                let (wall_ms, now_ms) = (self.clock.now_ms(), self.clock.monotonic_ms());
                self.updater.offered(*offer, wall_ms, now_ms, random());
            }
            Notice::Goodbye { reason: GoodbyeReason::Replaced, message } => {
                tracing::warn!(
                    %message,
                    "another agent with this agent's key has connected; if two hosts run with copies of one \
                     state folder, remove identity.key on one of them and join it with a new token"
                );
                self.hang_up();
            }
            Notice::Goodbye { reason, message } => {
                tracing::info!(?reason, %message, "the server ends the session");
                self.hang_up();
            }
            Notice::Rejected { code, message } => self.rejected(code, message)?,
        }
        Ok(())
    }

    /// Warns once a session if this host's clock and the server's are far apart.
    fn tell_clock_offset(&self) {
        let Some(offset_ms) = self.exchange.clock_offset_ms() else {
            return;
        };
        if offset_ms.abs() > CLOCK_OFFSET_MS {
            let side = if offset_ms > 0 { "behind" } else { "ahead of" };
            tracing::warn!(
                "this host's clock is {} s {side} the server's; one of the two is wrong: compare both with the true time \
                 (`timedatectl`) and let NTP set them, or samples appear at wrong times and may be refused",
                offset_ms.abs() / 1_000
            );
        }
    }

    async fn record_enrolment(&mut self, instance: String) {
        let state_dir = self.config.state_dir.clone();
        if let Err(error) = on_disk(move || remove_left_token(&state_dir)).await {
            tracing::warn!(%error, "the join token stays in the state folder");
        }
        if self.enrolled && !self.use_token && self.instance == instance {
            return;
        }
        self.enrolled = true;
        self.use_token = false;
        self.instance.clone_from(&instance);
        let enrolment = Enrolment { server_url: self.config.server_url.clone(), instance };
        let (disk, state_dir) = (Arc::clone(&self.disk), self.config.state_dir.clone());
        if let Err(error) = on_disk(move || enrolment.save(&*disk, &state_dir)).await {
            tracing::warn!(%error, "the enrolment cannot be put on record; the token will be shown again");
        }
    }

    fn rejected(&mut self, code: RejectCode, message: String) -> Result<(), AgentError> {
        if !self.enrolled && code.is_permanent() {
            return Err(AgentError::Rejected { code, message });
        }
        tracing::error!(?code, %message, advice = advice(code), "the server rejects this agent");
        if code == RejectCode::UnknownAgent && self.config.token.is_some() && !self.use_token {
            // The server was made anew: the token that was given may open it.
            self.use_token = true;
        } else if code.is_permanent() {
            self.rejected_wait_ms = Some(Backoff::after_rejection(random()));
        }
        self.hang_up();
        Ok(())
    }

    /// Gives the connection up, if there is one, and plans the next.
    pub(super) fn hang_up(&mut self) {
        if self.link.take().is_none() {
            return;
        }
        self.exchange.disconnected();
        self.process_watch.end();
        self.updater.disconnected();
        self.supervision.status("collecting; no connection to the server, samples are kept");
        let now_ms = self.clock.monotonic_ms();
        if let Some(welcomed_ms) = self.welcomed_ms.take() {
            self.backoff.session_ended(now_ms - welcomed_ms);
        }
        let wait_ms = match self.rejected_wait_ms.take() {
            Some(wait_ms) => wait_ms,
            None => self.backoff.after_failure(random()),
        };
        self.connect_at_ms = now_ms + wait_ms;
    }
}

/// A uniform number for jitter; 0 if the system has none, which only means no jitter.
fn random() -> u64 {
    let mut bytes = [0; 8];
    if aws_lc_rs::rand::fill(&mut bytes).is_err() {
        return 0;
    }
    u64::from_le_bytes(bytes)
}
