declare module 'drachtio-fsmrf' {
  const Mrf: unknown;
  export default Mrf;
}
