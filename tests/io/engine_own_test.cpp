#include <catch2/catch_test_macros.hpp>
#include <string>

#include "io/engine_own.hpp"

using sentinel::io::own_container_id;

namespace {

const std::string id(64, 'a');
const std::string other(64, 'b');

std::string mount(const std::string& root, const std::string& point) {
  return "1234 1200 254:1 " + root + " " + point + " rw,relatime - ext4 /dev/vda1 rw\n";
}

}  // namespace

TEST_CASE("our container is known by what the Engine mounts") {
  const std::string docker =
      mount("/", "/") +
      mount("/var/lib/docker/containers/" + id + "/resolv.conf", "/etc/resolv.conf") +
      mount("/var/lib/docker/containers/" + id + "/hostname", "/etc/hostname");
  CHECK(own_container_id(docker, "0::/\n")->hex() == id);
  CHECK(
      own_container_id(mount("/containers/storage/overlay-containers/" + id + "/userdata/hostname",
                             "/etc/hostname"),
                       "")
          ->hex() == id);
}

TEST_CASE("mounts of other containers are not ours") {
  CHECK_FALSE(own_container_id(
      mount("/var/lib/docker/containers/" + other + "/hostname", "/mnt/hostname"), ""));
  CHECK_FALSE(own_container_id(mount("/home/" + other + "/hostname", "/etc/hostname"), ""));
  CHECK_FALSE(own_container_id("", ""));
  CHECK_FALSE(own_container_id("garbage\n\n   \nx y z", "garbage\n:\n"));
  CHECK_FALSE(own_container_id(
      mount("/var/lib/docker/containers/" + id.substr(1) + "/hostname", "/etc/hostname"), ""));
}

TEST_CASE("control groups of version 1 name us too") {
  CHECK(own_container_id("", "12:pids:/docker/" + id + "\n0::/system.slice\n")->hex() == id);
  CHECK(own_container_id("", "1:name=systemd:/docker/" + other + "/docker/" + id + "\n")->hex() ==
        id);
  CHECK(own_container_id("", "0::/system.slice/docker-" + id + ".scope\n")->hex() == id);
  CHECK_FALSE(own_container_id("", "0::/\n"));
}
