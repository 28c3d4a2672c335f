#!/bin/sh
exec cargo xtask validate-traefik "$@"
