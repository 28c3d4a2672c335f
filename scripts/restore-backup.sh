#!/bin/sh
exec cargo xtask restore "$@"
