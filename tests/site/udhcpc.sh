#!/bin/sh
# Called by udhcpc with what the DHCP server said. The system's own script would rewrite /etc/resolv.conf of the machine.
case "$1" in
deconfig)
    ip -4 address flush dev "$interface"
    ;;
bound | renew)
    ip address replace "$ip/$mask" dev "$interface"
    for gateway in $router; do
        ip route replace default via "$gateway" dev "$interface"
    done
    ;;
esac
