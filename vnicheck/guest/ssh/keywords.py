"""The keywords of ssh_config(5), OpenSSH 3 to 10, with those that it has dropped and that distributions have added."""

_NAMES = """
    AddKeysToAgent AddressFamily AFSTokenPassing BatchMode BindAddress BindInterface CanonicalDomains
    CanonicalizeFallbackLocal CanonicalizeHostname CanonicalizeMaxDots CanonicalizePermittedCNAMEs
    CASignatureAlgorithms CertificateFile ChallengeResponseAuthentication ChannelTimeout CheckHostIP Cipher
    Ciphers ClearAllForwardings Compression CompressionLevel ConnectionAttempts ConnectTimeout ControlMaster
    ControlPath ControlPersist DSAAuthentication DynamicForward EnableEscapeCommandline EnableSSHKeysign
    EscapeChar ExitOnForwardFailure FallBackToRsh FingerprintHash ForkAfterAuthentication ForwardAgent
    ForwardX11 ForwardX11Timeout ForwardX11Trusted GatewayPorts GlobalKnownHostsFile GSSAPIAuthentication
    GSSAPIClientIdentity GSSAPIDelegateCredentials GSSAPIKexAlgorithms GSSAPIKeyExchange
    GSSAPIRenewalForcesRekey GSSAPIServerIdentity GSSAPITrustDns HashKnownHosts Host HostbasedAcceptedAlgorithms
    HostbasedAuthentication HostbasedKeyTypes HostKeyAlgorithms HostKeyAlias HostName IdentitiesOnly
    IdentityAgent IdentityFile IgnoreUnknown Include IPQoS KbdInteractiveAuthentication KbdInteractiveDevices
    KeepAlive KerberosAuthentication KerberosTGTPassing KexAlgorithms KnownHostsCommand LocalCommand
    LocalForward LogLevel LogVerbose MACs Match NoHostAuthenticationForLocalhost NumberOfPasswordPrompts
    ObscureKeystrokeTiming PasswordAuthentication PermitLocalCommand PermitRemoteOpen PKCS11Provider Port
    PreferredAuthentications Protocol ProxyCommand ProxyJump ProxyUseFdpass PubkeyAcceptedAlgorithms
    PubkeyAcceptedKeyTypes PubkeyAuthentication RefuseConnection RekeyLimit RemoteCommand RemoteForward
    RequestTTY RequiredRSASize RevokedHostKeys RhostsRSAAuthentication RSAAuthentication SecurityKeyProvider
    SendEnv ServerAliveCountMax ServerAliveInterval SessionType SetEnv SkeyAuthentication SmartcardDevice
    StdinNull StreamLocalBindMask StreamLocalBindUnlink StrictHostKeyChecking SyslogFacility Tag TCPKeepAlive
    TISAuthentication Tunnel TunnelDevice UpdateHostKeys UseKeychain UsePrivilegedPort User UserKnownHostsFile
    UseRoaming UseRsh VerifyHostKeyDNS VersionAddendum VisualHostKey WarnWeakCrypto XAuthLocation
"""
KNOWN = {name.lower(): name for name in _NAMES.split()}
"""By their names in lower case: case does not count."""
