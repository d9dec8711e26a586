"""The grains of a simulated minion, as engine/master/examples/fleet.rs makes them."""


def grains(i):
    os, family, release = [("Debian", "Debian", "12"), ("Ubuntu", "Debian", "24.04"), ("Rocky", "RedHat", "9")][i % 3]
    found = {"os": os, "os_family": family, "osrelease": release, "kernel": "Linux", "osfinger": f"{os}-{release}",
             "num_cpus": i % 64 + 1, "roles": [f"role{i % 10}", "all"], "fqdn": f"m{i}.example.org", "id": f"m{i}"}
    found.update({f"grain{k}": f"value {k} of {i}" for k in range(60)})
    return found
