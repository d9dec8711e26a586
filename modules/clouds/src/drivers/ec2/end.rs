//! The end of a guest: its instance, its volumes, its address, its key pair, and what nobody else of ours needs.

use super::api::{Change, Kind};
use super::look::{Ec2Work, MOVES, is_dead};
use super::make::{Changes, failed};
use crate::driver::DriverError;
use corpus_core::Value;

impl Ec2Work<'_> {
    /// Ends it. Volumes may be declared to stay; all else that bears the guest's mark goes.
    pub fn finish(&self, guest: &str, stays: bool, changes: &mut Changes) -> Result<(), DriverError> {
        for instance in self.instances_of(guest)?.iter().filter(|instance| !is_dead(instance)) {
            let owned = self.mark.owned(&instance.id, &instance.tags)?;
            self.end(&instance.id, &Change::Terminate(owned))?;
            changes.note("instance", instance.id.as_str(), Value::Null);
        }
        self.until(&format!("the end of {}", guest), MOVES, || {
            let all = self.instances_of(guest)?;
            Ok(all.iter().all(|instance| instance.state == "terminated").then_some(()))
        })?;
        for address in self.all(|query| self.api.addresses(query), self.of(guest))? {
            let owned = self.mark.owned(&address.id, &address.tags)?;
            self.end(&format!("the address {}", address.ip), &Change::Release(owned))?;
            changes.note("elastic_ip", address.ip, Value::Null);
        }
        // What ends with an instance has ended; what is left was to stay, or is of a creation that was cut off.
        for volume in self.volumes_of(guest)?.iter().filter(|_| !stays) {
            let owned = self.mark.owned(&volume.id, &volume.tags)?;
            self.end(&format!("the volume {}", volume.id), &Change::DeleteVolume(owned))?;
        }
        for key in self.all(|query| self.api.named(Kind::Key, query), self.of(guest))? {
            self.end(
                &format!("the key pair {}", key.name),
                &Change::DeleteKey(self.mark.owned(&key.name, &key.tags)?),
            )?;
        }
        self.leave()
    }

    /// Stops, starts or restarts the one that is there.
    pub fn act(&self, guest: &str, verb: &str, force: bool) -> Result<super::api::Instance, DriverError> {
        let Some(instance) = self.instances_of(guest)?.into_iter().find(|found| !is_dead(found)) else {
            return failed(format!("{guest} is not there"));
        };
        let owned = self.mark.owned(&instance.id, &instance.tags)?;
        match verb {
            "start" => self.start(&owned),
            "stop" => self.stop(&owned, &instance, force),
            _ if instance.state == "stopped" => self.start(&owned),
            _ => {
                self.change(&Change::Reboot(owned))?;
                Ok(instance)
            }
        }
    }
}
